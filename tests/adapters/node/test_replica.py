"""From a committed entry to what is kept and who is told."""

import asyncio
from pathlib import Path

import orjson
import pytest

from molecule.cluster.changes import EntryResult
from molecule.config import Limits
from molecule.model.errors import Overloaded, StaleToken
from molecule.model.execution import ExecutionState
from molecule.node.replica import Settled
from molecule.wire.v1 import commands_pb2 as c
from tests.adapters.node.one_node import OneNode, one_node


async def test_waiter_gets_the_state_in_which_its_execution_ended(node: OneNode) -> None:
    token = await node.start("e1")
    with node.replica.waiter("e1") as ended:
        await node.say(
            end_attempt=c.EndAttempt(
                execution="e1", token=token, state="COMPLETED", result=c.Payload(inline=b"[1]")
            )
        )
        settled = await ended
        assert settled.state is ExecutionState.COMPLETED
        # What a caller is told is what anybody reads afterwards.
        history = await node.store.history_one("e1")
        assert history is not None
        assert settled.view == orjson.loads(history.body)
        assert settled.result == await node.store.payload("e1", "result")


async def test_waiter_sleeps_through_moves_and_wakes_when_a_person_is_needed(
    node: OneNode,
) -> None:
    token = await node.start("e1")
    intent = c.Intent(effect_key="k", step="tell", effect="once", timeout_ms=5_000)
    with node.replica.waiter("e1") as parked:
        await node.say(
            record_intents=c.RecordIntents(execution="e1", token=token, intents=[intent])
        )
        assert not parked.done()
        await node.say(end_attempt=c.EndAttempt(execution="e1", token=token, state="IN_DOUBT"))
        assert await parked == Settled(ExecutionState.IN_DOUBT)


async def test_waiters_are_bounded_and_give_their_place_back(tmp_path: Path) -> None:
    async with one_node(tmp_path, Limits(waiters_max=1)) as node:
        with (
            node.replica.waiter("e1"),
            pytest.raises(Overloaded, match="waiters_max"),
            node.replica.waiter("e2"),
        ):
            pytest.fail("the bound was passed")
        with node.replica.waiter("e2"):
            pass


async def test_document_of_a_superseded_holder_is_refused_others_pass(node: OneNode) -> None:
    token = await node.start("e1")
    with pytest.raises(StaleToken):
        node.replica.check_writer("e1", token - 1)
    node.replica.check_writer("e1", token)
    node.replica.check_writer("not known here yet", 1)


async def test_listeners_hear_every_entry_after_it_took_effect(node: OneNode) -> None:
    heard: list[tuple[int, bool]] = []

    def listener(result: EntryResult) -> None:
        heard.append((result.changes.index, "e1" in node.state.executions))

    node.replica.listen(listener)
    index = node.state.index
    await node.submit("e1")
    assert heard == [(index + 1, True)]


async def test_flush_saves_what_was_applied_with_the_index_it_is_true_for(node: OneNode) -> None:
    await node.submit("e1")
    marks = node.replica.flushes()
    # It stands at the newest entry when it begins, so one more is needed to have work.
    waiting = asyncio.ensure_future(anext(marks))
    await asyncio.sleep(0)
    await node.submit("e2")
    mark = await waiting
    assert mark.index == node.state.index
    rows = [row.key for row in node.store.snapshot_rows()]
    assert b"e1" in rows
    assert b"e2" in rows
    await marks.aclose()  # type: ignore[attr-defined]  # an async generator
