"""Rows behind a horizon are deleted in slices, by class; the rest stays, and the file shrinks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.model.retention import RetentionClass
from molecule.storage.rows import DeadLetterQuery, HistoryQuery
from molecule.storage.state_store import StateStore
from tests.adapters.storage.builders import a_letter, a_payload, an_end, an_event, marked

NONE = dict.fromkeys(RetentionClass, 0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StateStore]:
    opened = await StateStore.create(tmp_path / "state.db", limits=Limits())
    yield opened
    await opened.close()


async def _fill(store: StateStore, count: int = 6) -> None:
    """Executions e1, e2, … that ended at 1000, 2000, …; every third FAILED, with all rows."""
    names = [f"e{number}" for number in range(1, count + 1)]
    store.stage(
        marked(
            1,
            history=tuple(
                an_end(
                    name,
                    ended_at_ms=1_000 * number,
                    state="FAILED" if number % 3 == 0 else "COMPLETED",
                    track=(("order", name),),
                )
                for number, name in enumerate(names, 1)
            ),
            payloads=tuple(a_payload(name) for name in names),
            timeline=tuple(an_event(name) for name in names),
            dead_letters=(a_letter(execution="e1"),),
        )
    )
    await store.flush()


async def _swept(store: StateStore, limit: int = 2, **horizons: int) -> list[dict[str, int]]:
    told = []
    asked = {**NONE, **{RetentionClass(name): at_ms for name, at_ms in horizons.items()}}
    while slice_ := await store.sweep(asked, limit=limit):
        told.append(slice_)
    return told


async def _with_payload(store: StateStore) -> list[str]:
    names = [f"e{number}" for number in range(1, 7)]
    return [name for name in names if await store.payload(name, "input") is not None]


async def test_documents_go_by_class_and_slice(store: StateStore) -> None:
    await _fill(store)
    assert await _swept(store, completed_documents=5_001) == [
        {"completed_documents": 2},
        {"completed_documents": 2},
    ]
    assert await _with_payload(store) == ["e3", "e6"]
    assert await _swept(store, failed_documents=4_000) == [{"failed_documents": 1}]
    assert await _with_payload(store) == ["e6"]
    assert len(await store.timeline("e1", limit=10)) == 1


async def test_a_class_that_was_swept_is_not_walked_again(store: StateStore) -> None:
    await _fill(store)
    await _swept(store, timelines=3_000)
    assert await _swept(store, timelines=3_000) == []
    assert await _swept(store, timelines=4_000) == [{"timelines": 1}]


async def test_with_history_everything_goes_but_dead_letters(store: StateStore) -> None:
    await _fill(store)
    await _swept(store, history=3_001)
    assert await _with_payload(store) == ["e4", "e5", "e6"]
    assert await store.timeline("e1", limit=10) == ()
    assert await store.history_one("e2") is None
    found = await store.history(HistoryQuery(track=("order", "e1")), limit=10)
    assert found.rows == ()
    letters = await store.dead_letters(DeadLetterQuery(execution="e1"), limit=10)
    assert letters.rows == (a_letter(execution="e1"),)


async def test_executions_that_have_not_ended_are_never_swept(store: StateStore) -> None:
    store.stage(marked(1, payloads=(a_payload("live"),), timeline=(an_event("live"),)))
    await store.flush()
    await _swept(store, **dict.fromkeys(RetentionClass, 10**15))
    assert await store.payload("live", "input") is not None
    assert len(await store.timeline("live", limit=10)) == 1


async def test_the_place_outlives_a_restart(store: StateStore, tmp_path: Path) -> None:
    await _fill(store)
    await _swept(store, timelines=3_000)
    await store.close()
    again = await StateStore.open(tmp_path / "state.db", limits=Limits())
    assert await _swept(again, timelines=3_000) == []
    await again.close()


async def test_usage_counts_what_each_class_takes(store: StateStore) -> None:
    await _fill(store)
    store.stage(marked(2, payloads=(a_payload("live", inline=b"x" * 10),)))
    await store.flush()
    used = {usage.name: (usage.rows, usage.size_bytes) for usage in await store.usage()}
    assert used["completed_documents"] == (4, 20)
    assert used["failed_documents"] == (2, 10)
    assert used["live_documents"] == (1, 10)
    assert used["history"][0] == used["timelines"][0] == 6
    assert used["dead_letters"][0] == 1


async def test_the_oldest_of_a_class_tells_how_far_a_horizon_reaches(store: StateStore) -> None:
    await _fill(store)
    completed, failed = RetentionClass.COMPLETED_DOCUMENTS, RetentionClass.FAILED_DOCUMENTS
    assert await store.oldest(completed, from_ms=0, before_ms=10**9, count=3) == 4_000
    assert await store.oldest(failed, from_ms=0, before_ms=10**9, count=9) == 6_000
    assert await store.oldest(failed, from_ms=6_001, before_ms=10**9, count=9) is None
    assert await store.ended_count(completed, from_ms=0, before_ms=2_001) == 2
    assert await store.ended_count(RetentionClass.HISTORY, from_ms=0, before_ms=10**9) == 6


async def test_what_was_cancelled_is_kept_and_goes_like_what_failed(store: StateStore) -> None:
    ends = tuple(
        an_end(name, ended_at_ms=at_ms, state=state)
        for name, at_ms, state in (("e1", 1_000, "FAILED"), ("e2", 2_000, "CANCELLED"))
    )
    store.stage(marked(1, history=ends, payloads=(a_payload("e1"), a_payload("e2"))))
    await store.flush()
    failed = RetentionClass.FAILED_DOCUMENTS
    assert await store.oldest(failed, from_ms=0, before_ms=10**9, count=9) == 2_000
    assert await store.ended_count(failed, from_ms=0, before_ms=10**9) == 2
    assert await _swept(store, completed_documents=10**9) == []
    slices = await _swept(store, failed_documents=2_001)
    assert sum(told["failed_documents"] for told in slices) == 2
    assert await _with_payload(store) == []


async def test_the_file_becomes_smaller_after_a_purge(store: StateStore, tmp_path: Path) -> None:
    names = [f"e{number}" for number in range(400)]
    store.stage(
        marked(
            1,
            history=tuple(an_end(name) for name in names),
            payloads=tuple(a_payload(name, inline=b"x" * 8_000) for name in names),
        )
    )
    await store.flush()
    await _swept(store, limit=100, history=10**9)
    while await store.shrink(pages=100, keep_percent=0):
        pass
    await store.shrink(pages=100, keep_percent=0)
    left = sum(path.stat().st_size for path in tmp_path.glob("state.db*"))
    assert left < 400 * 8_000 // 10
