"""Snapshots: who is asked for, what is installed, what survives it."""

import pytest

from molecule.model.errors import DamagedData
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from tests.unit.raft.disk import MemoryFiles
from tests.unit.raft.voters import SMALL, Voter, Voters


def saved_mark(voters: Voters, name: str) -> SnapshotMark:
    last = voters[name].committed[-1]
    return SnapshotMark(last.index, last.term)


def save(voters: Voters, name: str) -> SnapshotMark:
    mark = saved_mark(voters, name)
    voters[name].replica.snapshot_saved(mark, voters.now)
    return mark


def a_cluster_with_one_far_behind() -> tuple[Voters, str, str, SnapshotMark]:
    voters = Voters()
    leader = voters.leader()
    behind = next(name for name in "abc" if name != leader)
    voters.run(0.1)
    voters.cut(behind)
    for number in range(60):
        voters.commit(b"%d" % number, at=leader, ticket=number)
    mark = save(voters, leader)
    voters.connect(behind)
    return voters, leader, behind, mark


def test_a_follower_below_the_journal_is_offered_a_snapshot_once() -> None:
    voters, leader, behind, _ = a_cluster_with_one_far_behind()
    voters.run(0.5)

    assert voters[leader].snapshots_wanted == [behind]


def test_a_failed_transfer_is_asked_for_again() -> None:
    voters, leader, behind, _ = a_cluster_with_one_far_behind()
    voters.run(0.2)
    voters[leader].replica.snapshot_sent(behind, False, voters.now)
    voters.run(0.5)

    assert voters[leader].snapshots_wanted == [behind, behind]


def test_a_follower_that_waits_for_its_snapshot_does_not_campaign() -> None:
    voters, leader, _, _ = a_cluster_with_one_far_behind()
    term = voters[leader].replica.term
    voters.run(5.0)

    assert voters[leader].replica.is_leader
    assert voters[leader].replica.term == term


def test_an_installed_snapshot_lets_a_follower_go_on() -> None:
    voters, leader, behind, mark = a_cluster_with_one_far_behind()
    voters.run(0.2)
    old = voters[behind].replica
    assert old.snapshot_offered(mark)
    old.freeze(voters.now)
    files = MemoryFiles()
    old.journal.install(files, mark)
    voters.cut(behind)
    journal = open_journal(files, bounds=SMALL)
    replica = voters._replica(behind, journal, mark)
    voters.voters[behind] = Voter(files, replica)
    voters.connect(behind)
    voters[leader].replica.snapshot_sent(behind, True, voters.now)

    voters.commit(b"after", at=leader, ticket=99)
    voters.run(0.2)

    assert voters.data(behind) == [b"after"]


def test_a_snapshot_that_brings_nothing_new_is_not_installed() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.commit(b"x", at=leader)
    voters.run(0.1)
    mark = saved_mark(voters, leader)

    for name in "abc":
        assert not voters[name].replica.snapshot_offered(mark)
        assert voters[name].replica.snapshot_offered(SnapshotMark(mark.index + 1, mark.term))


def test_entries_above_a_snapshot_survive_a_crash_before_the_journal_was_cut() -> None:
    voters = Voters()
    leader = voters.leader()
    for number in range(10):
        voters.commit(b"%d" % number, at=leader, ticket=number)
    mark = saved_mark(voters, leader)
    for number in range(10, 20):
        voters.commit(b"%d" % number, at=leader, ticket=number)
    voters.run(0.1)
    for name in "abc":
        voters.cut(name)
    for name in "abc":
        voters.restart(name, snapshot=mark)

    voters.leader()
    voters.run(0.2)

    expected = [b"%d" % number for number in range(10, 20)]
    assert [voters.data(name) for name in "abc"] == [expected] * 3


def test_a_frozen_replica_says_and_takes_nothing() -> None:
    voters = Voters()
    leader = voters.leader()
    voters[leader].replica.freeze(voters.now)
    voters[leader].sent.clear()

    voters.run(1.0)

    assert voters[leader].sent == []
    assert voters.leader(among="".join(name for name in "abc" if name != leader))


def test_a_journal_without_the_snapshot_it_was_cut_for_is_refused() -> None:
    voters, leader, _, _ = a_cluster_with_one_far_behind()
    files = MemoryFiles()
    voters[leader].replica.journal.install(files, SnapshotMark(30, 1))

    with pytest.raises(DamagedData, match="the state was lost"):
        voters._replica(leader, open_journal(files, bounds=SMALL), None)


def test_a_snapshot_beyond_the_journal_is_refused() -> None:
    voters = Voters()
    leader = voters.leader()
    files = voters[leader].files

    with pytest.raises(DamagedData, match="cannot be joined to the snapshot of entry 99 in term 7"):
        voters._replica(leader, open_journal(files, bounds=SMALL), SnapshotMark(99, 7))
