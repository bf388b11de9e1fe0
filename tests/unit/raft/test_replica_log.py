"""Proposals, commits and what waits for the disk."""

import pickle
from contextlib import suppress

import pytest

from molecule.model.errors import BrokenInvariant, NoLeader, StorageFull
from molecule.raft.outbox import Settled
from molecule.wire.v1.raft_pb2 import Append, RaftFrame
from tests.unit.raft.voters import STEP, Voters


def test_a_command_is_committed_everywhere_in_order() -> None:
    voters = Voters()
    leader = voters.leader()
    for number in range(20):
        voters.commit(f"{number}".encode(), at=leader, ticket=number)
    voters.run(0.05)

    expected = [f"{number}".encode() for number in range(20)]
    assert [voters.data(name) for name in "abc"] == [expected] * 3


def test_each_index_is_handed_out_once_without_gaps() -> None:
    voters = Voters()
    leader = voters.leader()
    for number in range(10):
        voters[leader].replica.propose(b"x", number, voters.now)
    voters.run(0.1)

    for name in "abc":
        indexes = [entry.index for entry in voters[name].committed]
        assert indexes == list(range(2, indexes[-1] + 1))


def test_a_single_voter_commits_alone() -> None:
    voters = Voters("a")

    assert voters.commit(b"x", at=voters.leader()).failure is None


def test_a_lone_command_is_committed_in_one_round_trip() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    began = voters.now

    voters.commit(b"x", at=leader)

    assert round((voters.now - began) / STEP) <= 4


def test_followers_learn_of_a_commit_at_once() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    voters.commit(b"x", at=leader)

    voters.run(2 * STEP)

    assert [voters.data(name) for name in "abc"] == [[b"x"]] * 3


def test_at_most_one_append_is_unanswered_for_each_follower() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    for name in "abc":
        voters[name].disk_hangs = name != leader
    voters[leader].sent.clear()
    for number in range(50):
        voters[leader].replica.propose(b"x", number, voters.now)
        voters.step()

    appends = [peer for peer, frame in voters[leader].sent if frame.HasField("append")]
    assert sorted(appends) == sorted(set("abc") - {leader})


def test_what_came_meanwhile_travels_in_the_next_append() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    voters[leader].sent.clear()
    for number in range(40):
        voters[leader].replica.propose(b"x", number, voters.now)
    voters.run(0.02)

    sizes = [len(frame.append.entries) for _, frame in voters[leader].sent if frame.append.entries]
    assert sizes == [40, 40]


def test_nothing_is_committed_before_the_leaders_own_disk_has_it() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    voters[leader].disk_hangs = True
    voters[leader].replica.propose(b"x", 1, voters.now)
    voters.run(0.2)
    assert voters[leader].settled == []
    assert [voters.data(name) for name in "abc"] == [[]] * 3

    voters[leader].disk_hangs = False
    voters.run(0.02)

    assert voters[leader].settled == [Settled(1, voters[leader].replica.commit_index)]


def test_a_follower_acknowledges_only_what_its_disk_has() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    followers = [name for name in "abc" if name != leader]
    for name in followers:
        voters[name].disk_hangs = True
        voters[name].sent.clear()
    voters[leader].replica.propose(b"x", 1, voters.now)
    voters.run(0.2)

    for name in followers:
        assert not [frame for _, frame in voters[name].sent if frame.HasField("append_answer")]
    assert voters[leader].settled == []


def test_only_a_leader_takes_commands() -> None:
    voters = Voters()
    leader = voters.leader()
    follower = next(name for name in "abc" if name != leader)

    with pytest.raises(NoLeader):
        voters[follower].replica.propose(b"x", 1, voters.now)


def test_a_command_has_a_size_and_a_limit() -> None:
    voters = Voters("a")
    leader = voters.leader()
    with pytest.raises(BrokenInvariant, match="never empty"):
        voters[leader].replica.propose(b"", 1, voters.now)

    with pytest.raises(BrokenInvariant, match="larger than an entry"):
        voters[leader].replica.propose(bytes(4096), 1, voters.now)


def test_the_outcome_is_unknown_to_a_leader_that_was_cut_off() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.cut(leader)
    voters[leader].replica.propose(b"x", 7, voters.now)

    voters.run(1.0)

    assert voters[leader].settled == [Settled(7, None, "indefinite")]
    assert not voters[leader].replica.is_leader


def test_what_a_cut_off_leader_wrote_gives_way_to_what_was_committed() -> None:
    voters = Voters()
    old = voters.leader()
    voters.cut(old)
    for number in range(20):
        voters[old].replica.propose(b"lost", number, voters.now)
    voters.run(0.1)
    new = voters.leader(among="".join(name for name in "abc" if name != old))
    voters.commit(b"kept", at=new)

    voters.connect(old)
    voters.run(1.0)

    assert [voters.data(name) for name in "abc"] == [[b"kept"]] * 3


def test_a_follower_far_behind_is_brought_up() -> None:
    voters = Voters()
    leader = voters.leader()
    follower = next(name for name in "abc" if name != leader)
    voters.cut(follower)
    for number in range(300):
        voters[leader].replica.propose(b"%d" % number, number, voters.now)
        voters.step()

    voters.connect(follower)
    voters.run(0.5)

    assert voters.data(follower) == voters.data(leader)
    assert len(voters.data(leader)) == 300


def test_an_entry_of_another_kind_from_a_peer_never_reaches_the_log() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    follower = voters[next(name for name in "abc" if name != leader)].replica
    journal = follower.journal
    name = next(name for name in "abc" if voters[name].replica is follower)
    for kind in (2, 3):
        evil = Append(
            id=10**6,
            previous_index=journal.last_index,
            previous_term=journal.last_term,
            entry_terms=[follower.term],
            entries=[bytes([kind]) + pickle.dumps(["add", "evil:1"])],
        )
        frame = RaftFrame(
            sender=leader,
            term=follower.term,
            connection=voters.links[leader, name],
            sequence=10**6 + kind,
            append=evil,
        )
        before = journal.last_index
        data = frame.SerializeToString()
        follower.receive(leader, voters.links[leader, name], data, voters.now)
        assert journal.last_index == before


def test_a_pickle_from_a_peer_is_dropped() -> None:
    voters = Voters()
    leader = voters.leader()
    other = next(name for name in "abc" if name != leader)
    message = pickle.dumps({"type": "apply_command", "command": b"\0evil"})
    before = voters[leader].replica.journal.last_index

    voters[leader].replica.receive(other, voters.links[leader, other], message, voters.now)
    voters.run(0.1)

    assert voters[leader].replica.journal.last_index == before


def test_a_full_disk_hands_leadership_over_before_it_matters() -> None:
    voters = Voters()
    leader = voters.leader()
    voters.run(0.2)
    voters[leader].files.full = True
    number = 0
    while voters[leader].replica.is_leader and number < 5000:
        number += 1
        with suppress(NoLeader, StorageFull):
            voters[leader].replica.propose(bytes(500), number, voters.now)
        voters.step()

    new = voters.leader(among="".join(name for name in "abc" if name != leader))
    assert voters.commit(b"on", at=new, ticket=10**6).failure is None
    assert voters[leader].fatal is None


def test_a_follower_with_a_full_disk_refuses_entries_and_goes_on_when_there_is_room() -> None:
    voters = Voters()
    leader = voters.leader()
    full = next(name for name in "abc" if name != leader)
    voters[full].files.full = True
    for number in range(1500):
        voters[leader].replica.propose(bytes(500), number, voters.now)
        voters.step()
        if number % 50 == 0:
            voters[leader].replica.snapshot_saved(voters[leader].replica.journal.head, voters.now)
    voters.run(0.5)
    assert voters[full].fatal is None
    assert len(voters.data(full)) < len(voters.data(leader))

    voters[full].files.full = False
    voters.run(4.0)

    assert voters.data(full) == voters.data(leader)


def test_a_failed_sync_stops_the_node_with_a_message() -> None:
    voters = Voters()
    leader = voters.leader()
    voters[leader].files.broken = True
    voters[leader].replica.propose(b"x", 1, voters.now)
    voters.run(0.01)

    assert "could not be synced" in (voters[leader].fatal or "")
    assert voters[leader].settled == []
