"""The journal: what was synced comes back, what was not is not claimed."""

from dataclasses import replace

import pytest

from molecule.model.errors import BrokenInvariant
from molecule.raft.journal import Journal, segment_name
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from tests.unit.raft.disk import MemoryFiles
from tests.unit.raft.voters import SMALL


def a_journal(files: MemoryFiles | None = None) -> Journal:
    return Journal.create(files or MemoryFiles(), bounds=SMALL)


def fill(journal: Journal, count: int, *, term: int = 1, size_bytes: int = 10) -> None:
    for _ in range(count):
        if not journal.has_room(size_bytes, 1):
            make_room(journal)
        journal.add((b"\0" + bytes(size_bytes - 1), journal.last_index + 1, term))


def make_room(journal: Journal) -> None:
    allocation = journal.take_allocation()
    assert allocation is not None
    allocation.run()
    journal.allocated()


def sync(journal: Journal) -> None:
    write = journal.take_write()
    assert write is not None
    write.run()
    journal.synced(write.position)


def test_a_new_journal_begins_behind_the_first_index() -> None:
    journal = a_journal()

    assert (journal.head, journal.last_index, journal.durable_index) == (SnapshotMark(1, 0), 1, 1)


def test_entries_terms_and_votes_survive_a_power_cut_once_synced() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    journal.set_term(3, "b")
    journal.add((b"\0one", 2, 3))
    journal.add((b"\0two", 3, 3))
    sync(journal)
    files.lose_power()

    after = open_journal(files, bounds=SMALL)

    assert (after.term, after.voted_for, after.last_index) == (3, "b", 3)
    assert after.entry(3) == (3, b"\0two")
    assert not after.is_doubtful


def test_entries_that_were_not_synced_are_not_durable() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    fill(journal, 3)
    assert journal.durable_index == 1
    sync(journal)
    fill(journal, 2)
    assert journal.durable_index == 4
    files.lose_power()

    assert open_journal(files, bounds=SMALL).last_index == 4


def test_many_entries_take_one_sync() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    before = files.syncs
    fill(journal, 100)
    sync(journal)

    assert files.syncs == before + 1
    assert journal.durable_index == 101


def test_no_second_write_is_handed_out_before_the_first_is_durable() -> None:
    journal = a_journal()
    fill(journal, 1)
    first = journal.take_write()
    fill(journal, 1)

    assert first is not None
    assert journal.take_write() is None
    journal.synced(first.position)
    assert journal.durable_index == 2
    assert journal.take_write() is not None


def test_entries_that_were_cut_stay_cut_after_a_restart() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    fill(journal, 5)
    journal.cut_from(4)
    journal.add((b"\0new", 4, 2))
    sync(journal)

    after = open_journal(files, bounds=SMALL)

    assert after.last_index == 4
    assert after.entry(4) == (2, b"\0new")
    assert after.entry(3)[0] == 1


def test_a_journal_goes_on_in_the_spare_segment() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    make_room(journal)
    journal.set_term(1, "a")
    fill(journal, 1000, size_bytes=100)
    sync(journal)
    files.lose_power()

    after = open_journal(files, bounds=SMALL)

    assert len(files.names()) >= 3
    assert (after.last_index, after.term, after.voted_for) == (1001, 1, "a")
    fill(after, 1)
    sync(after)
    assert open_journal(files, bounds=SMALL).last_index == 1002


def test_without_a_spare_segment_there_is_no_room_but_for_terms() -> None:
    journal = a_journal()
    while journal.has_room(100, 1):
        journal.add((bytes(100), journal.last_index + 1, 1))

    journal.set_term(2, None)

    assert not journal.has_room(100, 1)
    assert journal.term == 2


def test_an_entry_without_room_breaks_an_invariant_instead_of_a_file() -> None:
    journal = a_journal()
    while journal.has_room(100, 1):
        journal.add((bytes(100), journal.last_index + 1, 1))

    with pytest.raises(BrokenInvariant, match="no room"):
        journal.add((bytes(SMALL.reserve_bytes * 2), journal.last_index + 1, 1))


def test_a_failed_allocation_can_be_tried_again() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    files.full = True
    allocation = journal.take_allocation()
    assert allocation is not None
    with pytest.raises(OSError, match="No space"):
        allocation.run()
    journal.allocation_failed()
    files.full = False

    make_room(journal)

    assert not journal.wants_allocation


def test_a_saved_snapshot_lets_old_segments_go_but_keeps_recent_entries() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    make_room(journal)
    fill(journal, 1500, size_bytes=100)
    sync(journal)
    count = len(files.names())

    journal.cut_below(SnapshotMark(1400, 1))
    make_room(journal)

    assert journal.head.index == 1400 - SMALL.entries_kept
    assert len(files.names()) < count
    after = open_journal(files, bounds=SMALL)
    assert after.last_index == 1501
    assert after.begin_at(SnapshotMark(1400, 1))
    assert after.head == SnapshotMark(1400, 1)


def test_entries_are_kept_up_to_a_size_too() -> None:
    bounds = replace(SMALL, bytes_kept=1_000)
    journal = Journal.create(MemoryFiles(), bounds=bounds)
    make_room(journal)
    fill(journal, 60, size_bytes=300)

    journal.cut_below(SnapshotMark(50, 1))
    assert 46 <= journal.head.index <= 48

    journal.cut_below(SnapshotMark(60, 1))
    assert 56 <= journal.head.index <= 58


def test_small_entries_are_kept_by_their_number() -> None:
    journal = Journal.create(MemoryFiles(), bounds=replace(SMALL, bytes_kept=10_000))
    fill(journal, 50)

    journal.cut_below(SnapshotMark(5, 1))
    assert journal.head.index == 1
    journal.cut_below(SnapshotMark(50, 1))
    assert journal.head.index == 50 - SMALL.entries_kept


def test_the_last_segment_is_never_removed() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    fill(journal, 5)
    sync(journal)
    journal.cut_below(SnapshotMark(6, 1))
    make_room(journal)

    assert segment_name(1) in files.names()


def test_a_journal_that_ends_below_the_snapshot_cannot_be_joined() -> None:
    journal = a_journal()
    fill(journal, 3)

    assert not journal.begin_at(SnapshotMark(9, 1))
    assert not journal.begin_at(SnapshotMark(4, 2))


def test_an_installed_journal_keeps_vote_doubt_and_agreeing_entries() -> None:
    journal = a_journal()
    journal.set_term(5, "c")
    fill(journal, 9, term=5)
    journal.doubt()
    files = MemoryFiles()

    journal.install(files, SnapshotMark(6, 5))

    files.lose_power()
    after = open_journal(files, bounds=SMALL)
    assert (after.head, after.last_index) == (SnapshotMark(6, 5), 10)
    assert (after.term, after.voted_for, after.is_doubtful) == (5, "c", True)


def test_an_installed_journal_drops_entries_that_contradict_the_snapshot() -> None:
    journal = a_journal()
    journal.set_term(2, "a")
    fill(journal, 9, term=2)
    files = MemoryFiles()

    after = journal.install(files, SnapshotMark(6, 3))

    assert (after.head, after.last_index) == (SnapshotMark(6, 3), 6)
