"""Documents that come again, and damaged ones: nothing is written twice, nothing grows for ever."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from molecule.storage.documents import DocumentStore
from tests.adapters.storage.test_documents import (
    HOUR_MS,
    LARGE,
    LIMITS,
    Clock,
    digest_of,
    file_of,
    nothing,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[DocumentStore]:
    made = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    yield made
    await made.close()


async def test_a_large_document_that_is_here_is_touched_not_written_again(
    store: DocumentStore, tmp_path: Path, clock: Clock
) -> None:
    await store.put(LARGE)
    written = file_of(tmp_path, LARGE).stat().st_ino
    clock.now_ms += HOUR_MS - 1
    await store.put(LARGE)
    assert file_of(tmp_path, LARGE).stat().st_ino == written
    clock.now_ms += HOUR_MS - 1
    assert await store.collect(nothing) == 0


async def test_a_put_mends_a_large_document_that_is_damaged(
    store: DocumentStore, tmp_path: Path
) -> None:
    await store.put(LARGE)
    file_of(tmp_path, LARGE).write_bytes(b"X")
    await store.put(LARGE)
    assert await store.get(digest_of(LARGE)) == LARGE


async def test_damaged_documents_that_are_set_aside_are_bounded(
    tmp_path: Path, clock: Clock
) -> None:
    limits = LIMITS.model_copy(update={"documents_damaged_max": 2})
    store = await DocumentStore.open(tmp_path / "documents", limits=limits, clock_ms=clock)
    for number in range(4):
        payload = LARGE + bytes([number])
        await store.put(payload)
        file_of(tmp_path, payload).write_bytes(b"X")
        assert await store.get(digest_of(payload)) is None
    assert len(list((tmp_path / "documents" / "damaged").iterdir())) == 2
    await store.close()
