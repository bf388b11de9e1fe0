"""What the simulator found in `molecule.raft`, each told again in its shortest form."""

import random
from dataclasses import replace

import pytest

from molecule.raft.configuration import Configuration, Member
from molecule.raft.journal import Journal
from molecule.raft.journal_view import JournalView
from molecule.raft.log import CONFIGURATION
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from molecule.raft.settings import Bounds
from tests.simulation.disk import Disk, DiskProfile, Survival
from tests.simulation.faults import Fault, FaultKind
from tests.simulation.generations import DiskFiles
from tests.simulation.setups import Setup
from tests.simulation.whole.setups import WholeSetup

BOUNDS = Bounds(segment_bytes=4_096, reserve_bytes=256, entries_kept=0)


def a_disk() -> Disk:
    return Disk(random.Random(1), DiskProfile())


def _write_out(journal: Journal) -> None:
    write = journal.take_write()
    assert write is not None
    write.run()
    journal.synced(write.position)


def _allocate(journal: Journal) -> None:
    allocation = journal.take_allocation()
    assert allocation is not None
    allocation.run()
    journal.allocated()


@pytest.mark.parametrize("seed", range(12))
def test_entry_read_back_after_a_kill_survives_a_power_loss(seed: int) -> None:
    # A process killed between write and sync leaves its entry in the page cache. The next life read
    # it there, acknowledged it, and a power loss took it: it was never synced.
    faults = tuple(
        Fault(at_s=at_s, kind=kind, target="leader", seconds=0.05, salt=seed)
        for turn in range(6)
        for at_s, kind in (
            (1.5 + turn, FaultKind.KILL),
            (1.51 + turn, FaultKind.KILL_IN_WRITE),
            (1.9 + turn, FaultKind.POWER_LOSS_MANY),
        )
    )

    report = Setup(voters=1, faults=0).run(seed, faults)

    assert report.violation is None, report.violation


def test_segment_stays_until_its_successor_is_durable() -> None:
    # A slow disk had not synced the new segment's header when a snapshot let the old segment go.
    # After a power loss the journal began with a blank header and was taken for damaged.
    disk = a_disk()
    files = DiskFiles(disk, "/journal")
    journal = Journal.create(files, bounds=BOUNDS)
    _allocate(journal)
    for index in (2, 3, 4):
        journal.add((b"\0" + b"x" * 999, index, 1))
        _write_out(journal)
    mark = SnapshotMark(4, 1)
    journal.add((b"\0" + b"x" * 999, 5, 1))
    write = journal.take_write()
    assert write is not None
    assert {name for name, _, _ in write.pieces} >= {"0000000002.segment"}
    write.write()

    journal.cut_below(mark)
    allocation = journal.take_allocation()
    assert allocation is not None
    allocation.run()
    disk.lose_power(Survival.NOTHING)

    reopened = open_journal(files, bounds=BOUNDS)
    assert reopened.last_index == mark.index
    assert not reopened.is_doubtful


def test_voters_with_slow_disks_find_a_leader() -> None:
    # A campaign waits for two syncs. With syncs nearly as long as the election timeout it was given
    # up before its votes arrived, for ever.
    for seed in range(6):
        report = Setup(voters=3 + seed % 2 * 2, faults=20, aim=7).run(seed)

        assert report.violation is None, report.violation


@pytest.mark.parametrize("seed", [337373174105, 337373174087, 3])
def test_a_machine_that_returns_under_its_name_is_not_who_it_was(seed: int) -> None:
    # A newcomer restarted on a snapshot whose configuration named its old disk as a voter.
    # It took itself for that one and elected itself.
    report = Setup(voters=3, faults=100, changes=True).run(seed)

    assert report.violation is None, report.violation
    assert report.member_changes > 0


def test_a_paused_voter_may_give_up_what_others_committed_without_it() -> None:
    # It woke with the words of a leader that had lost its term since, and cut what the next leader
    # had committed with three others. Nobody counted on its copy: the checker's own mistake.
    report = Setup(voters=5, faults=150).run(677670688485)

    assert report.violation is None, report.violation


def test_a_leader_may_count_on_a_voter_whose_disk_was_damaged_since() -> None:
    # They were cut off from each other meanwhile. What it had said was true when it said it: the
    # checker's own mistake.
    report = Setup(voters=3, faults=150).run(4276703890)

    assert report.violation is None, report.violation


def test_changes_of_members_leave_room_in_the_journal_for_everything_else() -> None:
    # Each segment begins with the configurations since the last snapshot. When these had filled
    # one, no voter could lead any more, for ever (seed 4276707175, before snapshots were a must).
    files = DiskFiles(a_disk(), "/journal")
    journal = Journal.create(files, bounds=BOUNDS)
    _allocate(journal)
    members = tuple(Member(f"n{number}", f"n{number}:1", "x" * 15) for number in range(4))
    index = 1
    while not journal.is_crowded:
        index += 1
        configuration = Configuration(voters=members[:1], learners=members[1:], index=index)
        journal.add((CONFIGURATION + configuration.encode(), index, 1))
        _write_out(journal)
        if journal.wants_allocation:
            _allocate(journal)

    assert index > 3
    assert journal.has_room(BOUNDS.reserve_bytes, 1)


def test_a_tail_behind_a_large_entry_is_cut_when_another_leader_wrote_over_it() -> None:
    # What lies behind an entry as large as an append was not seen, so it was not cut, and the new
    # leader's entry did not follow: the voter ended, in every life anew.
    journal = Journal.create(DiskFiles(a_disk(), "/journal"), bounds=BOUNDS)
    _allocate(journal)
    journal.add((b"\0" + b"x" * 999, 2, 1))
    journal.add((b"\0", 3, 1))
    view = JournalView(journal, replace(BOUNDS, append_bytes_max=500))

    assert [entry[1] for entry in view[1:]] == [2, 3]


def test_whole_nodes_outlive_a_new_leader_that_writes_over_a_tail() -> None:
    report = WholeSetup(voters=3, faults=30).run(1004296392427)

    assert report.violation is None, report.violation


def test_whole_nodes_outlive_leaders_that_change_faster_than_a_try_ends() -> None:
    report = WholeSetup(voters=3, faults=30).run(775663205471)

    assert report.violation is None, report.violation


def test_a_follower_that_has_the_leaders_snapshot_is_sent_what_follows_it() -> None:
    # It asked for the whole term of an entry that contradicted, also for what was committed of it;
    # the leader no longer held that, and offered a snapshot that was there already, for ever.
    report = Setup(voters=5, faults=150).run(3182525819)

    assert report.violation is None, report.violation


def test_a_copy_from_before_a_damage_may_lack_what_an_earlier_one_took() -> None:
    # The disks of a majority were counted as sound, one of them being a copy of a damaged one.
    report = Setup(voters=5, faults=150).run(3182526513)

    assert report.violation is None, report.violation


def test_a_full_disk_keeps_the_spare_segment_of_a_journal_whose_tail_was_torn() -> None:
    # It was removed with the tail, no other could be had, and terms and marks had no room.
    report = Setup(voters=5, faults=150).run(3026999703)

    assert report.violation is None, report.violation
