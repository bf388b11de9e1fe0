"""What people do to executions, and how the refusals of the state reach them."""

import pytest

from molecule.access.policy import ADMIN, ANONYMOUS
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Unauthenticated,
    WrongState,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.node.actions import Actions
from molecule.wire.v1 import commands_pb2 as c
from tests.adapters.node.one_node import WITHIN_S, OneNode

HOUR_MS = 3_600_000


def actions(node: OneNode) -> Actions:
    return Actions(forwarder=node.forwarder, state=lambda: node.state, limits=node.limits)


async def cancel(node: OneNode, execution: str, **fields: object) -> None:
    await actions(node).cancel(ADMIN, execution, fields, within_s=WITHIN_S)


async def resolve(node: OneNode, execution: str, **fields: object) -> None:
    await actions(node).resolve(ADMIN, execution, fields, within_s=WITHIN_S)


async def in_doubt(node: OneNode, *keys: str) -> None:
    """Execution e1 whose attempt ended with these effects in doubt."""
    token = await node.start("e1")
    intents = [
        c.Intent(effect_key=key, step="tell", effect="once", timeout_ms=5_000) for key in keys
    ]
    await node.say(record_intents=c.RecordIntents(execution="e1", token=token, intents=intents))
    await node.say(end_attempt=c.EndAttempt(execution="e1", token=token, state="IN_DOUBT"))


def state_of(node: OneNode, name: str = "e1") -> ExecutionState:
    return node.state.executions[ExecutionId(name)].state


async def test_cancel_ends_an_execution_with_who_and_why(node: OneNode) -> None:
    await node.submit("e1")
    await cancel(node, "e1", reason="a mistake")
    rows = await node.store.timeline("e1", limit=10)
    assert ExecutionId("e1") in node.state.ended
    told = b"".join(row.body for row in rows)
    assert b'"reason":"a mistake"' in told
    assert b'"actor":"token:admin"' in told


async def test_cancel_of_what_ended_otherwise_names_its_state(node: OneNode) -> None:
    token = await node.start("e1")
    await node.say(end_attempt=c.EndAttempt(execution="e1", token=token, state="COMPLETED"))
    with pytest.raises(WrongState, match="COMPLETED"):
        await cancel(node, "e1")


async def test_unknown_execution_is_not_found(node: OneNode) -> None:
    with pytest.raises(NotFound, match="e9"):
        await cancel(node, "e9")
    with pytest.raises(NotFound, match="e9"):
        await resolve(node, "e9", all="done")


async def test_nobody_may_act_without_a_token(node: OneNode) -> None:
    with pytest.raises(Unauthenticated):
        await actions(node).cancel(ANONYMOUS, "e1", {}, within_s=WITHIN_S)
    with pytest.raises(Unauthenticated):
        await actions(node).resolve(ANONYMOUS, "e1", {}, within_s=WITHIN_S)


async def test_held_execution_is_released_or_given_up_by_a_person(node: OneNode) -> None:
    await node.deploy("stays", failover="hold")
    await node.start("e1", process="stays")
    await node.start("e2", process="stays")
    await node.say(report_node_death=c.ReportNodeDeath(node="n1", life="1"))
    assert {state_of(node, name) for name in ("e1", "e2")} == {ExecutionState.HELD}
    await actions(node).release(ADMIN, "e1", {"reason": "it comes not back"}, within_s=WITHIN_S)
    await actions(node).fail(ADMIN, "e2", {}, within_s=WITHIN_S)
    assert state_of(node) is ExecutionState.PENDING
    assert node.state.ended[ExecutionId("e2")].state is ExecutionState.FAILED
    with pytest.raises(WrongState, match="PENDING"):
        await actions(node).release(ADMIN, "e1", {}, within_s=WITHIN_S)
    with pytest.raises(WrongState, match="FAILED"):
        await actions(node).fail(ADMIN, "e2", {}, within_s=WITHIN_S)


async def test_nobody_may_let_go_without_a_token(node: OneNode) -> None:
    with pytest.raises(Unauthenticated):
        await actions(node).release(ANONYMOUS, "e1", {}, within_s=WITHIN_S)
    with pytest.raises(Unauthenticated):
        await actions(node).fail(ANONYMOUS, "e1", {}, within_s=WITHIN_S)


async def test_execution_goes_on_once_every_doubt_is_answered(node: OneNode) -> None:
    await in_doubt(node, "a", "b")
    await resolve(node, "e1", answers=[{"effect": "a", "answer": "done"}])
    assert state_of(node) is ExecutionState.IN_DOUBT
    await resolve(node, "e1", answers=[{"effect": "b", "answer": "done"}])
    assert state_of(node) is ExecutionState.PENDING


async def test_one_answer_may_stand_for_all_doubts(node: OneNode) -> None:
    await in_doubt(node, "a", "b")
    await resolve(node, "e1", all="done")
    assert state_of(node) is ExecutionState.PENDING


async def test_not_done_is_too_early_while_the_request_may_be_under_way(node: OneNode) -> None:
    await in_doubt(node, "a")
    with pytest.raises(Conflict, match="may still be under way"):
        await resolve(node, "e1", all="not_done")
    node.at_ms += HOUR_MS
    await resolve(node, "e1", all="not_done")
    assert state_of(node) is ExecutionState.PENDING


async def test_answer_for_what_is_not_in_doubt_is_not_found(node: OneNode) -> None:
    await in_doubt(node, "a")
    with pytest.raises(NotFound, match="b is not in doubt in e1"):
        await resolve(node, "e1", answers=[{"effect": "b", "answer": "done"}])


async def test_answer_that_there_is_not_is_invalid(node: OneNode) -> None:
    await in_doubt(node, "a")
    with pytest.raises(InvalidInput, match="answer"):
        await resolve(node, "e1", all="perhaps")
