"""What is staged is read at once, what is flushed survives, pages neither skip nor repeat."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from molecule.config import Limits
from molecule.model.errors import BrokenInvariant, InvalidInput, LimitExceeded
from molecule.storage import queries, schema
from molecule.storage.rows import (
    EMPTY_MARK,
    Batch,
    DeadLetterCount,
    DeadLetterQuery,
    HistoryQuery,
    SnapshotRow,
)
from molecule.storage.state_store import StateStore
from tests.adapters.storage.builders import (
    a_letter,
    a_mark,
    a_payload,
    a_row,
    an_end,
    an_event,
    marked,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StateStore]:
    made = await StateStore.create(tmp_path / "state.db", limits=Limits())
    yield made
    await made.close()


async def rows_of(store: StateStore) -> list[SnapshotRow]:
    return list(store.snapshot_rows())


async def reopened(store: StateStore, tmp_path: Path) -> StateStore:
    await store.close()
    return await StateStore.open(tmp_path / "state.db", limits=Limits())


async def test_new_store_stands_at_the_beginning_of_the_log(store: StateStore) -> None:
    assert store.mark == EMPTY_MARK
    assert await rows_of(store) == []


async def test_flush_makes_rows_and_their_mark_survive_reopening(tmp_path: Path) -> None:
    store = await StateStore.create(tmp_path / "state.db", limits=Limits())
    store.stage(marked(3, rows=(a_row("a", b"1"), a_row("b", b"2"))))
    store.stage(marked(5, rows=(a_row("a", b"3"), a_row("b", None))))
    assert await store.flush() == a_mark(5)
    again = await reopened(store, tmp_path)
    assert (again.mark, await rows_of(again)) == (a_mark(5), [a_row("a", b"3")])
    await again.close()


async def test_staged_rows_without_a_flush_are_gone_after_reopening(tmp_path: Path) -> None:
    store = await StateStore.create(tmp_path / "state.db", limits=Limits())
    store.stage(marked(1, payloads=(a_payload(),)))
    again = await reopened(store, tmp_path)
    assert (again.mark, await again.payload("e1", "input")) == (EMPTY_MARK, None)
    await again.close()


async def test_staged_payload_timeline_and_end_are_seen_before_any_flush(store: StateStore) -> None:
    store.stage(Batch(payloads=(a_payload(),), timeline=(an_event(),), history=(an_end(),)))
    assert await store.payload("e1", "input") == a_payload()
    assert await store.timeline("e1", limit=10) == (an_event(),)
    assert await store.history_one("e1") == an_end()


async def test_batch_without_mark_waits_for_the_next_mark(store: StateStore) -> None:
    store.stage(marked(1, payloads=(a_payload("e1"),)))
    store.stage(Batch(payloads=(a_payload("e2"),)))
    assert await store.flush() == a_mark(1)
    assert store.staged_rows == 1
    store.stage(marked(2))
    await store.flush()
    assert store.staged_rows == 0
    assert await store.payload("e2", "input") == a_payload("e2")


async def test_flush_without_anything_staged_says_the_mark_on_disk(store: StateStore) -> None:
    store.stage(marked(4))
    await store.flush()
    assert await store.flush() == a_mark(4)


async def test_rows_of_the_snapshot_without_mark_are_refused(store: StateStore) -> None:
    with pytest.raises(BrokenInvariant):
        store.stage(Batch(rows=(a_row(),)))


async def test_mark_that_goes_back_is_refused(store: StateStore) -> None:
    store.stage(marked(4))
    with pytest.raises(BrokenInvariant):
        store.stage(marked(3))


async def test_timeline_joins_disk_and_overlay_in_order_and_pages(store: StateStore) -> None:
    events = tuple(an_event(index=index, position=p) for index in (1, 2, 3) for p in (0, 1))
    store.stage(marked(2, timeline=events[:4]))
    await store.flush()
    store.stage(Batch(timeline=events[4:]))
    assert await store.timeline("e1", limit=10) == events
    assert await store.timeline("e1", after=(1, 1), limit=3) == events[2:5]


async def test_payloads_are_read_together_wherever_they_are(store: StateStore) -> None:
    names = [(f"e{number}", "input") for number in range(1_200)]
    store.stage(marked(1, payloads=tuple(a_payload(name) for name, _ in names)))
    await store.flush()
    store.stage(Batch(payloads=(a_payload("e0", inline=None), a_payload("e1", inline=b"new"))))
    found = await store.payloads([*names, ("e7", "position"), ("nobody", "input")])
    assert sorted(found) == sorted(names[1:])
    assert found["e1", "input"].inline == b"new"
    assert found["e1199", "input"] == a_payload("e1199")
    assert await store.payloads([]) == {}


@pytest.mark.parametrize(
    "question", [queries.PAYLOAD, queries.payloads(3), queries.HISTORY_ONE, queries.TIMELINE]
)
def test_what_is_asked_for_one_execution_is_found_by_an_index(
    question: str, tmp_path: Path
) -> None:
    schema.create(tmp_path / "state.db")
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        values = ["x"] * question.count("?")
        told = connection.execute(f"EXPLAIN QUERY PLAN {question}", values).fetchall()
    scanned = [line.split()[1] for *_, line in told if line.startswith("SCAN")]
    assert {"h", "p", *schema.TABLES}.isdisjoint(scanned)


async def test_removed_payload_is_gone_staged_and_flushed(store: StateStore) -> None:
    store.stage(marked(1, payloads=(a_payload(),)))
    await store.flush()
    store.stage(marked(2, payloads=(a_payload(inline=None),)))
    assert await store.payload("e1", "input") is None
    await store.flush()
    assert await store.payload("e1", "input") is None


ENDS = (
    an_end("e1", ended_at_ms=1_000, track=(("order", "A-1"), ("customer", "7"))),
    an_end("e2", ended_at_ms=2_000, process="bills", track=(("order", "A-2"),)),
    an_end("e3", ended_at_ms=2_000, state="FAILED"),
    an_end("e4", ended_at_ms=3_000, environment="prod", track=(("customer", "7"),)),
)


async def ended(store: StateStore, *, on_disk: int) -> None:
    """All `ENDS`: so many of them flushed, the others only staged."""
    store.stage(marked(1, history=ENDS[:on_disk]))
    await store.flush()
    store.stage(marked(2, history=ENDS[on_disk:]))


@pytest.mark.parametrize("on_disk", [0, 2, 4])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        (HistoryQuery(), "e4 e3 e2 e1"),
        (HistoryQuery(process="bills"), "e2"),
        (HistoryQuery(state="FAILED"), "e3"),
        (HistoryQuery(environment="prod"), "e4"),
        (HistoryQuery(track=("customer", "7")), "e4 e1"),
        (HistoryQuery(track=("customer", "7' OR 1=1 --")), ""),
        (HistoryQuery(ended_from_ms=2_000, ended_to_ms=3_000), "e3 e2"),
        (HistoryQuery(process="orders", track=("customer", "7"), ended_to_ms=3_000), "e1"),
    ],
)
async def test_history_is_searched_newest_first(
    store: StateStore, query: HistoryQuery, found: str, on_disk: int
) -> None:
    await ended(store, on_disk=on_disk)
    page = await store.history(query, limit=10)
    assert (" ".join(row.execution for row in page.rows), page.cursor) == (found, "")
    assert set(page.rows) <= set(ENDS)


@pytest.mark.parametrize("on_disk", [0, 1, 4])
async def test_history_pages_neither_skip_nor_repeat_while_more_ends(
    store: StateStore, on_disk: int
) -> None:
    await ended(store, on_disk=on_disk)
    first = await store.history(HistoryQuery(), limit=2)
    store.stage(marked(3, history=(an_end("e9", ended_at_ms=9_000),)))
    second = await store.history(HistoryQuery(), cursor=first.cursor, limit=2)
    assert [row.execution for row in (*first.rows, *second.rows)] == ["e4", "e3", "e2", "e1"]
    assert second.cursor == ""


@pytest.mark.parametrize("cursor", ["x", "WzEsMl0", "bnVsbA", "e30", "WyJhIiwiYiJd", "ü"])
async def test_made_up_cursor_is_refused(store: StateStore, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        await store.history(HistoryQuery(), cursor=cursor, limit=2)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63)])
async def test_a_cursor_with_a_number_that_no_row_can_have_is_refused(
    store: StateStore, number: int
) -> None:
    with pytest.raises(InvalidInput):
        await store.history(HistoryQuery(), cursor=made_up(number, "e1"), limit=2)
    for place in ((number, 1), (1, number)):
        with pytest.raises(InvalidInput):
            await store.dead_letters(DeadLetterQuery(), cursor=made_up(*place), limit=2)


def made_up(*place: int | str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


async def test_page_over_the_limit_is_refused(store: StateStore) -> None:
    with pytest.raises(LimitExceeded, match="page_size_max"):
        await store.history(HistoryQuery(), limit=Limits().page_size_max + 1)


async def test_dead_letters_are_counted_by_cause_and_paged(store: StateStore) -> None:
    letters = (
        a_letter(1),
        a_letter(2),
        a_letter(3, code="schema"),
        a_letter(4, process="bills", execution="e2"),
    )
    store.stage(marked(4, dead_letters=letters))
    await store.flush()
    assert await store.dead_letter_counts() == (
        DeadLetterCount("bills", "data", "http_503", 1),
        DeadLetterCount("orders", "data", "http_503", 2),
        DeadLetterCount("orders", "data", "schema", 1),
    )
    assert len(await store.dead_letter_counts("orders")) == 2
    query = DeadLetterQuery(process="orders", error_code="http_503")
    first = await store.dead_letters(query, limit=1)
    second = await store.dead_letters(query, cursor=first.cursor, limit=1)
    assert (first.rows, second.rows, second.cursor) == ((letters[1],), (letters[0],), "")


@pytest.mark.parametrize("on_disk", [0, 2, 4])
async def test_dead_letters_are_listed_and_shown_before_they_are_on_disk(
    store: StateStore, on_disk: int
) -> None:
    letters = (*(a_letter(index) for index in (1, 2, 3)), a_letter(4, process="bills"))
    store.stage(marked(1, dead_letters=letters[:on_disk]))
    await store.flush()
    store.stage(marked(4, dead_letters=letters[on_disk:]))
    query = DeadLetterQuery(process="orders")
    first = await store.dead_letters(query, limit=2)
    second = await store.dead_letters(query, cursor=first.cursor, limit=2)
    assert (*first.rows, *second.rows) == tuple(reversed(letters[:3]))
    assert second.cursor == ""
    for letter in letters:
        assert await store.dead_letter(letter.log_index, letter.position) == letter
    await store.flush()
    assert (await store.dead_letters(query, limit=9)).rows == tuple(reversed(letters[:3]))


async def test_same_batch_flushed_twice_leaves_the_same_rows(tmp_path: Path) -> None:
    store = await StateStore.create(tmp_path / "state.db", limits=Limits())
    batch = marked(
        1,
        rows=(a_row(),),
        history=(an_end(track=(("a", "b"),)),),
        timeline=(an_event(),),
        dead_letters=(a_letter(),),
    )
    for _ in range(2):
        store.stage(batch)
        await store.flush()
    assert await store.history_one("e1") == an_end(track=(("a", "b"),))
    assert await store.timeline("e1", limit=10) == (an_event(),)
    assert await rows_of(store) == [a_row()]
    await store.close()


async def test_flush_that_was_cancelled_half_way_is_repeated_whole(store: StateStore) -> None:
    store.stage(marked(1, payloads=tuple(a_payload(f"e{number}") for number in range(2_000))))
    for turns in range(12):
        flushing = asyncio.ensure_future(store.flush())
        for _ in range(turns):
            await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
    assert await store.flush() == a_mark(1)
    assert await store.payload("e1999", "input") == a_payload("e1999")


async def test_full_overlay_lets_in_more_after_a_flush(tmp_path: Path) -> None:
    store = await StateStore.create(tmp_path / "state.db", limits=Limits(staged_rows_max=2))
    store.stage(marked(1, payloads=(a_payload("e1"), a_payload("e2"))))
    was_full = store.is_full
    waiting = asyncio.ensure_future(store.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await store.flush()
    await waiting
    assert (was_full, store.is_full) == (True, False)
    await store.close()


async def test_reads_do_not_wait_for_a_flush(store: StateStore) -> None:
    store.stage(marked(1, payloads=(a_payload(),)))
    await store.flush()
    many = tuple(a_payload(f"x{number}") for number in range(20_000))
    store.stage(marked(2, payloads=many))
    flushing = asyncio.ensure_future(store.flush())
    answered_during = 0
    while not flushing.done():
        assert await store.payload("e1", "input") == a_payload()
        answered_during += not flushing.done()
    assert answered_during > 1
    await flushing
