"""Torn tails are cut, damage is refused, and each refusal says what to do."""

import random

import pytest

from molecule.model.errors import DamagedData
from molecule.raft import records
from molecule.raft.journal import Journal, segment_name
from molecule.raft.recovery import open_journal
from tests.unit.raft.disk import MemoryFiles
from tests.unit.raft.test_journal import a_journal, fill, make_room, sync
from tests.unit.raft.voters import SMALL

FIRST = segment_name(1)


def a_disk(*, batches: int, per_batch: int = 3) -> MemoryFiles:
    """A disk on which every batch was synced."""
    files = MemoryFiles()
    journal = a_journal(files)
    for _ in range(batches):
        fill(journal, per_batch)
        sync(journal)
    return files


def records_of(files: MemoryFiles) -> list[records.Record]:
    return list(records.records_from(files.read(FIRST), 0))


def flip(files: MemoryFiles, offset: int, name: str = FIRST) -> None:
    files.visible[name][offset] ^= 0xFF


def test_a_torn_tail_is_cut_and_leaves_doubt() -> None:
    files = a_disk(batches=2)
    flip(files, records_of(files)[-1].position + 20)

    journal = open_journal(files, bounds=SMALL)

    assert journal.last_index == 6
    assert journal.is_doubtful


def test_doubt_survives_restarts_until_it_is_lifted() -> None:
    files = a_disk(batches=1)
    flip(files, records_of(files)[-1].position + 20)
    open_journal(files, bounds=SMALL)
    again = open_journal(files, bounds=SMALL)
    assert again.is_doubtful

    again.trust()
    sync(again)

    assert not open_journal(files, bounds=SMALL).is_doubtful


def test_a_torn_tail_is_cut_on_a_full_disk_too() -> None:
    files = a_disk(batches=2)
    flip(files, records_of(files)[-1].position + 20)
    files.full = True

    assert open_journal(files, bounds=SMALL).is_doubtful


def test_a_tail_torn_at_the_very_end_of_a_segment_is_cut() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    fill(journal, 3)
    sync(journal)
    free = SMALL.segment_bytes - journal.position
    overhead = 3 * records.RECORD_BYTES + 2 * 16
    journal.add((bytes(free - overhead - 8), journal.last_index + 1, 1))
    journal.add((bytes(8), journal.last_index + 1, 1))
    assert journal.position == SMALL.segment_bytes
    sync(journal)
    flip(files, SMALL.segment_bytes - 1)

    after = open_journal(files, bounds=SMALL)

    assert after.is_doubtful
    assert after.last_index == 5
    assert open_journal(files, bounds=SMALL).is_doubtful


def test_a_journal_goes_on_behind_a_cut() -> None:
    files = a_disk(batches=2)
    flip(files, records_of(files)[-1].position + 20)
    journal = open_journal(files, bounds=SMALL)
    fill(journal, 4)
    sync(journal)
    files.lose_power()

    assert open_journal(files, bounds=SMALL).last_index == 10


def test_damage_below_a_mark_is_refused_with_file_offset_and_advice() -> None:
    files = a_disk(batches=3)
    broken = records_of(files)[2]
    flip(files, broken.position + 20)

    with pytest.raises(DamagedData) as refused:
        open_journal(files, bounds=SMALL, where="data/journal")

    assert f"data/journal/{FIRST} is damaged at offset {broken.position}" in str(refused.value)
    assert "let it join again" in str(refused.value)


def test_damage_changes_nothing_on_the_disk() -> None:
    files = a_disk(batches=3)
    flip(files, records_of(files)[1].position + 17)
    before = {name: bytes(data) for name, data in files.visible.items()}

    with pytest.raises(DamagedData):
        open_journal(files, bounds=SMALL)

    assert {name: bytes(data) for name, data in files.visible.items()} == before


def test_a_lost_segment_is_refused_by_name() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    fill(journal, 2000, size_bytes=100)
    sync(journal)
    assert len(files.names()) > 3
    files.remove(segment_name(2))

    with pytest.raises(DamagedData, match=r"0000000002.segment is missing"):
        open_journal(files, bounds=SMALL)


def test_a_folder_without_segments_is_refused() -> None:
    with pytest.raises(DamagedData, match="holds no segment"):
        open_journal(MemoryFiles(), bounds=SMALL)


def test_a_damaged_first_header_is_refused() -> None:
    files = a_disk(batches=1)
    flip(files, 30)

    with pytest.raises(DamagedData, match="header is not whole"):
        open_journal(files, bounds=SMALL)


def test_a_newer_format_is_refused_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryFiles()
    with monkeypatch.context() as later:
        later.setattr(records, "FORMAT_VERSION", 7)
        Journal.create(files, bounds=SMALL)

    with pytest.raises(DamagedData, match=r"format 7, this version reads up to 1"):
        open_journal(files, bounds=SMALL)


def test_half_of_a_second_segment_is_a_torn_tail() -> None:
    files = MemoryFiles()
    journal = a_journal(files)
    make_room(journal)
    fill(journal, 100)
    sync(journal)
    fill(journal, 80, size_bytes=1000)
    write = journal.take_write()
    assert write is not None
    write.write()
    files.visible[segment_name(1)][-30_000:] = files.durable[segment_name(1)][-30_000:]

    after = open_journal(files, bounds=SMALL)

    assert after.is_doubtful
    assert after.last_index >= 101
    assert segment_name(2) not in files.names() or records.is_blank(files.read(segment_name(2)))


def test_a_spare_of_another_size_is_thrown_away() -> None:
    files = a_disk(batches=1)
    files.allocate(segment_name(2), 4096)

    open_journal(files, bounds=SMALL)

    assert files.names() == [FIRST]


def test_what_a_killed_process_had_not_synced_is_synced_before_it_is_believed() -> None:
    files = a_disk(batches=1)
    journal = open_journal(files, bounds=SMALL)
    fill(journal, 2)
    journal.set_term(9, "b")
    write = journal.take_write()
    assert write is not None
    write.write()

    believed = open_journal(files, bounds=SMALL)
    files.lose_power()
    after = open_journal(files, bounds=SMALL)

    assert (believed.durable_index, believed.term) == (6, 9)
    assert (after.last_index, after.term, after.voted_for) == (6, 9, "b")


@pytest.mark.parametrize("seed", range(40))
def test_no_power_cut_loses_what_was_synced(seed: int) -> None:
    chance = random.Random(seed)
    files = MemoryFiles()
    journal = a_journal(files)
    make_room(journal)
    durable = (0, 1)
    for _ in range(chance.randrange(1, 30)):
        fill(journal, chance.randrange(1, 40), size_bytes=chance.randrange(1, 300))
        if chance.random() < 0.2:
            journal.cut_from(max(durable[1] + 1, journal.last_index - 3))
        if chance.random() < 0.2:
            journal.set_term(journal.term + 1, chance.choice(["a", None]))
        if chance.random() < 0.7:
            sync(journal)
            durable = (journal.term, journal.last_index)
            if journal.wants_allocation:
                make_room(journal)
    write = journal.take_write()
    if write is not None:
        write.write()
    files.lose_power(chance)

    after = open_journal(files, bounds=SMALL)

    assert after.last_index >= durable[1]
    assert after.term >= durable[0]
