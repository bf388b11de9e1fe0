"""A snapshot is the store at one index, and only a whole one is ever put in place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.model.errors import DamagedData
from molecule.storage.rows import DeadLetterQuery, HistoryQuery, Mark
from molecule.storage.snapshot import SnapshotSink
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import snapshot_pb2
from tests.adapters.storage.builders import (
    a_letter,
    a_mark,
    a_payload,
    a_row,
    an_end,
    an_event,
    marked,
)

LIMITS = Limits(snapshot_chunk_bytes_max=4_096)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StateStore]:
    (tmp_path / "source").mkdir()
    made = await StateStore.create(tmp_path / "source" / "state.db", limits=LIMITS)
    made.stage(
        marked(
            9,
            rows=tuple(a_row(f"{number:04}", b"x" * 50) for number in range(500)),
            timeline=(an_event(),),
            history=(an_end(track=(("order", "7"),)),),
            payloads=(a_payload(), a_payload("e2")._replace(inline=None, digest="d" * 64)),
            dead_letters=(a_letter(),),
        )
    )
    await made.flush()
    yield made
    await made.close()


async def chunks_of(store: StateStore) -> list[bytes]:
    async with store.snapshot() as reader:
        return [chunk async for chunk in reader.chunks()]


async def installed(chunks: list[bytes], path: Path) -> Mark:
    sink = SnapshotSink(path)
    try:
        for chunk in chunks:
            await sink.write(chunk)
        return await sink.finish()
    finally:
        await sink.abort()


async def test_snapshot_installed_elsewhere_is_the_same_store(
    store: StateStore, tmp_path: Path
) -> None:
    assert await installed(await chunks_of(store), tmp_path / "state.db") == a_mark(9)
    copy = await StateStore.open(tmp_path / "state.db", limits=LIMITS)
    for one in (store, copy):
        assert one.mark == a_mark(9)
        assert len(list(one.snapshot_rows())) == 500
        assert await one.timeline("e1", limit=9) == (an_event(),)
        found = await one.history(HistoryQuery(track=("order", "7")), limit=9)
        assert found.rows == (an_end(track=(("order", "7"),)),)
        assert await one.payload("e1", "input") == a_payload()
        named = await one.payload("e2", "input")
        assert named is not None
        assert (named.inline, named.digest) == (None, "d" * 64)
        assert (await one.dead_letters(DeadLetterQuery(), limit=9)).rows == (a_letter(),)
    assert await chunks_of(copy) == await chunks_of(store)
    copy.stage(marked(10, rows=(a_row(),)))
    assert await copy.flush() == a_mark(10)
    await copy.close()


async def test_snapshot_does_not_see_flushes_that_come_after_it_began(store: StateStore) -> None:
    before = await chunks_of(store)
    async with store.snapshot() as reader:
        store.stage(marked(10, rows=(a_row("new"),)))
        await store.flush()
        assert reader.mark == a_mark(9)
        assert [chunk async for chunk in reader.chunks()] == before


async def test_snapshot_has_the_mark_in_its_first_chunk_and_keeps_chunks_small(
    store: StateStore,
) -> None:
    chunks = await chunks_of(store)
    header = snapshot_pb2.SnapshotChunk.FromString(chunks[0]).header
    assert (header.index, header.term, header.hash) == (9, 1, a_mark(9).hash)
    assert len(chunks) > 5
    assert max(map(len, chunks)) < 3 * LIMITS.snapshot_chunk_bytes_max


def without(position: int, chunks: list[bytes]) -> list[bytes]:
    return [chunk for number, chunk in enumerate(chunks) if number != position]


@pytest.mark.parametrize("position", [0, 1, 3, -1])
async def test_snapshot_that_lacks_a_chunk_is_refused(
    store: StateStore, tmp_path: Path, position: int
) -> None:
    chunks = await chunks_of(store)
    with pytest.raises(DamagedData):
        await installed(without(position % len(chunks), chunks), tmp_path / "state.db")
    assert list(tmp_path.glob("state.db*")) == []


@pytest.mark.parametrize("position", [0, 1, 3, -1])
async def test_snapshot_with_a_flipped_byte_is_refused(
    store: StateStore, tmp_path: Path, position: int
) -> None:
    chunks = await chunks_of(store)
    damaged = bytearray(chunks[position])
    damaged[-1] ^= 0x41
    chunks[position] = bytes(damaged)
    with pytest.raises(DamagedData):
        await installed(chunks, tmp_path / "state.db")
    assert list(tmp_path.glob("state.db*")) == []


async def test_snapshot_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    header = snapshot_pb2.SnapshotHeader(index=1, term=1, schema=99)
    chunk = snapshot_pb2.SnapshotChunk(header=header).SerializeToString()
    with pytest.raises(DamagedData, match="newer schema 99"):
        await installed([chunk], tmp_path / "state.db")


async def test_snapshot_with_a_foreign_table_is_refused(store: StateStore, tmp_path: Path) -> None:
    chunks = await chunks_of(store)
    rows = snapshot_pb2.SnapshotRows(
        table="meta VALUES (1,2); --",
        count=1,
        columns=[snapshot_pb2.SnapshotColumn(integers=[1])],
    )
    foreign = snapshot_pb2.SnapshotChunk(rows=rows).SerializeToString()
    with pytest.raises(DamagedData, match="do not fit"):
        await installed([chunks[0], foreign, *chunks[1:]], tmp_path / "state.db")


async def test_left_over_of_a_crash_while_filling_does_not_disturb(
    store: StateStore, tmp_path: Path
) -> None:
    (tmp_path / "state.db.filling").write_bytes(b"half of a file")
    assert await installed(await chunks_of(store), tmp_path / "state.db") == a_mark(9)


async def test_a_row_that_is_damaged_where_it_comes_from_is_refused(tmp_path: Path) -> None:
    source = await StateStore.create(tmp_path / "rotten.db", limits=LIMITS)
    source.stage(marked(9, rows=(a_row("k", b"a value that rots"),)))
    await source.flush()
    await source.close()
    content = bytearray((tmp_path / "rotten.db").read_bytes())
    content[content.index(b"a value that rots")] ^= 1
    (tmp_path / "rotten.db").write_bytes(bytes(content))
    source = await StateStore.open(tmp_path / "rotten.db", limits=LIMITS)
    (tmp_path / "target").mkdir()
    with pytest.raises(DamagedData, match="damaged where it comes from"):
        await installed(await chunks_of(source), tmp_path / "target" / "state.db")
    await source.close()
