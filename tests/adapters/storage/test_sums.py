"""A flipped bit in what ended is seen when it is read; files from before there were sums open."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.model.errors import DamagedData
from molecule.model.retention import RetentionClass
from molecule.storage import schema
from molecule.storage.rows import DeadLetterQuery, HistoryQuery
from molecule.storage.snapshot import SnapshotSink
from molecule.storage.state_store import StateStore
from tests.adapters.storage.builders import a_letter, an_end, an_event, marked

LIMITS = Limits()
TRACK = (("order", "N14228"),)
ALL_TIMELINES = dict.fromkeys(RetentionClass, 0) | {RetentionClass.TIMELINES: 9_000}


def flip(path: Path, found: bytes) -> None:
    """One bit of the first byte of what is found, wherever it stands in the file."""
    content = bytearray(path.read_bytes())
    at = content.index(found)
    while at >= 0:
        content[at] ^= 1
        at = content.find(found, at)
    path.write_bytes(bytes(content))


async def with_ends(path: Path) -> Path:
    store = await StateStore.create(path, limits=LIMITS)
    store.stage(
        marked(
            1,
            timeline=(an_event()._replace(body=b"happened"),),
            history=(an_end(track=TRACK)._replace(body=b"ended so"),),
            dead_letters=(a_letter()._replace(error="a reason"),),
        )
    )
    await store.flush()
    await store.close()
    return path


async def as_before_sums(path: Path) -> Path:
    """The same file as version 1 wrote it, a sweep begun."""
    await with_ends(path)
    with closing(sqlite3.connect(path)) as connection:
        for table in schema.SUMS_ADDED:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN sum")
        connection.execute("UPDATE meta SET value = 1 WHERE name='schema'")
        connection.execute("INSERT INTO meta VALUES ('swept/timelines/', '1000/e0')")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.mark.parametrize(
    ("found", "table"),
    [
        (b"happened", "timeline"),
        (b"ended so", "history"),
        (b"N14228", "history"),
        (b"a reason", "dead_letters"),
    ],
)
async def test_a_bit_that_flipped_in_what_ended_is_refused_when_it_is_read(
    tmp_path: Path, found: bytes, table: str
) -> None:
    path = await with_ends(tmp_path / "state.db")
    flip(path, found)
    store = await StateStore.open(path, limits=LIMITS)
    for name, reading in (
        ("timeline", store.timeline("e1", limit=9)),
        ("history", store.history_one("e1")),
        ("history", store.history(HistoryQuery(), limit=9)),
        ("dead_letters", store.dead_letters(DeadLetterQuery(), limit=9)),
        ("dead_letters", store.dead_letter(1, 0)),
    ):
        if name == table:
            with pytest.raises(DamagedData, match=f"a row of its table '{table}' is not what"):
                await reading
        else:
            assert await reading
    await store.close()


async def test_a_bit_that_flipped_in_the_cursor_of_a_sweep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await StateStore.create(path, limits=LIMITS)
    store.stage(marked(1, history=(an_end("e1"), an_end("e2", ended_at_ms=3_000))))
    await store.flush()
    assert await store.sweep(ALL_TIMELINES, limit=1)
    await store.close()
    flip(path, b"2000/e1")
    store = await StateStore.open(path, limits=LIMITS)
    with pytest.raises(DamagedData, match="a row of its table 'meta' is not what"):
        await store.sweep(ALL_TIMELINES, limit=1)
    await store.close()


async def test_a_file_from_before_there_were_sums_opens_with_all_that_is_in_it(
    tmp_path: Path,
) -> None:
    path = await as_before_sums(tmp_path / "state.db")
    for _ in range(2):
        store = await StateStore.open(path, limits=LIMITS)
        assert [row.body for row in await store.timeline("e1", limit=9)] == [b"happened"]
        assert (await store.history(HistoryQuery(), limit=9)).rows[0].track == TRACK
        assert await store.dead_letter(1, 0) is not None
        await store.close()
    store = await StateStore.open(path, limits=LIMITS)
    assert await store.sweep(ALL_TIMELINES, limit=1) == {RetentionClass.TIMELINES: 1}
    assert await store.sweep(ALL_TIMELINES, limit=1) == {}
    await store.close()


async def test_what_is_written_into_such_a_file_has_sums(tmp_path: Path) -> None:
    path = await as_before_sums(tmp_path / "state.db")
    store = await StateStore.open(path, limits=LIMITS)
    store.stage(marked(2, timeline=(an_event(index=2)._replace(body=b"went on"),)))
    await store.flush()
    await store.close()
    flip(path, b"went on")
    store = await StateStore.open(path, limits=LIMITS)
    with pytest.raises(DamagedData, match="'timeline' is not what"):
        await store.timeline("e1", limit=9)
    await store.close()


async def test_a_snapshot_of_a_node_from_before_there_were_sums_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await with_ends(tmp_path / "state.db")
    store = await StateStore.open(path, limits=LIMITS)
    tables = {
        table: columns[:-1] if table in schema.SUMS_ADDED else columns
        for table, columns in schema.TABLES.items()
    }
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSION", 1)
        older.setattr(schema, "TABLES", tables)
        async with store.snapshot() as reader:
            chunks = [chunk async for chunk in reader.chunks()]
    await store.close()
    (tmp_path / "new").mkdir()
    sink = SnapshotSink(tmp_path / "new" / "state.db")
    for chunk in chunks:
        await sink.write(chunk)
    await sink.finish()
    copy = await StateStore.open(tmp_path / "new" / "state.db", limits=LIMITS)
    assert [row.body for row in await copy.timeline("e1", limit=9)] == [b"happened"]
    assert (await copy.history(HistoryQuery(), limit=9)).rows[0].track == TRACK
    await copy.close()
