"""The reserve on real volumes: it takes blocks, gives way when they are needed, and returns."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from molecule.config import Headroom, Limits
from molecule.model.errors import StorageFull
from molecule.storage.documents import DocumentStore
from molecule.storage.reserve import Reserve
from molecule.storage.rows import Mark
from molecule.storage.state_store import StateStore
from tests.adapters.storage.builders import a_payload, marked
from tests.fakes.volumes import small_volume

MB = 1024 * 1024
SETTINGS = Headroom(reserve_bytes_min=8 * MB, reserve_held_from_percent=0)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    with small_volume(tmp_path / "volume", megabytes=32) as mounted:
        yield mounted


def _fill(volume: Path, *, leave: int = 0, name: str = "filler") -> Path:
    """A file that takes all room but `leave`."""
    path = volume / name
    volume_full = os.statvfs(volume)
    path.touch()
    os.truncate(path, volume_full.f_bavail * volume_full.f_frsize)
    with path.open("r+b", buffering=0) as file:
        while os.statvfs(volume).f_bavail:
            file.write(b"x" * volume_full.f_frsize)
    if leave:
        os.truncate(path, max(0, path.stat().st_size - leave))
    return path


def test_it_is_allocated_and_counts_as_available(volume: Path) -> None:
    reserve = Reserve(volume, SETTINGS)
    before = reserve.measure()
    kept = reserve.keep()
    assert kept.reserve_held_bytes == 8 * MB
    assert kept.available_bytes == before.available_bytes
    assert kept.total_bytes == before.total_bytes


def test_on_a_roomy_volume_it_need_not_be_allocated(volume: Path) -> None:
    settings = Headroom(reserve_bytes_min=8 * MB, reserve_held_from_percent=50)
    assert Reserve(volume, settings).keep().reserve_held_bytes == 0


def test_it_gives_way_when_others_took_the_rest_and_returns_with_room(volume: Path) -> None:
    reserve = Reserve(volume, SETTINGS)
    reserve.keep()
    filler = _fill(volume)
    gave = reserve.keep()
    assert gave.reserve_held_bytes < 8 * MB
    (volume / "needed").write_bytes(b"x" * MB)
    filler.unlink()
    assert reserve.keep().reserve_held_bytes == 8 * MB


def test_a_volume_without_room_gets_none(volume: Path) -> None:
    _fill(volume, leave=MB)
    disk = Reserve(volume, SETTINGS).keep()
    assert disk.reserve_held_bytes == 0
    assert disk.available_bytes < 2 * MB


async def test_a_full_disk_keeps_the_state_staged_until_the_reserve_gives_way(
    volume: Path,
) -> None:
    reserve = Reserve(volume, SETTINGS)
    store = await StateStore.create(volume / "state.db", limits=Limits())
    reserve.keep()
    _fill(volume)
    rows = tuple(a_payload(f"e{number}", inline=b"x" * 60_000) for number in range(20))
    store.stage(marked(1, payloads=rows))
    with pytest.raises(StorageFull):
        await store.flush()
    assert await store.payload("e7", "input") == rows[7]
    reserve.let_go()
    assert (await store.flush()).index == 1
    await store.close()
    again = await StateStore.open(volume / "state.db", limits=Limits())
    assert await again.payload("e7", "input") == rows[7]
    assert isinstance(again.mark, Mark)
    await again.close()


async def test_a_full_disk_refuses_a_document_and_takes_it_out_of_the_reserve(
    volume: Path,
) -> None:
    reserve = Reserve(volume, SETTINGS)
    store = await DocumentStore.open(volume / "documents", limits=Limits(), clock_ms=lambda: 1)
    reserve.keep()
    _fill(volume)
    with pytest.raises(StorageFull):
        await store.put(b"x" * 2 * MB)
    reserve.let_go()
    reference = await store.put(b"x" * 2 * MB)
    assert await store.get(reference.digest) == b"x" * 2 * MB
    await store.close()


async def test_a_store_opens_on_a_full_disk_once_the_reserve_gave_way(volume: Path) -> None:
    store = await StateStore.create(volume / "state.db", limits=Limits())
    await store.close()
    reserve = Reserve(volume, SETTINGS)
    reserve.keep()
    _fill(volume)
    with pytest.raises(StorageFull):
        await StateStore.open(volume / "state.db", limits=Limits())
    reserve.keep()
    again = await StateStore.open(volume / "state.db", limits=Limits())
    again.stage(marked(1, payloads=(a_payload(),)))
    assert (await again.flush()).index == 1
    await again.close()
