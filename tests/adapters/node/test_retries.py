"""A retry takes all from the execution that it repeats, and is another execution."""

from typing import Any

import pytest

from molecule.access.policy import ADMIN
from molecule.model.errors import NotFound, WrongState
from molecule.model.ids import ExecutionId
from molecule.node.reads import Reads
from molecule.node.retries import Retries
from molecule.node.submit import SubmitDoor
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from tests.adapters.node.one_node import WITHIN_S, OneNode
from tests.fakes.triggers import untold


def retries(node: OneNode) -> Retries:
    reads = Reads(
        config=node.config,
        state=lambda: node.state,
        store=node.store,
        payloads=node.payloads,
        leader=lambda: "n1",
        members=lambda: {"voters": ["n1"], "learners": []},
        triggers=untold(),
    )
    return Retries(reads=reads, store=node.store, payloads=node.payloads)


async def retry(node: OneNode, execution: str, key: str) -> str:
    request = d.SubmitRequest(retry_of=execution, submissions=[d.Submission(idempotency_key=key)])
    door = SubmitDoor(
        node="n1",
        state=lambda: node.state,
        forwarder=node.forwarder,
        payloads=node.payloads,
        ask_worker=node.ask_worker,
        limits=node.limits,
    )
    answers, _ = await door.submit(ADMIN, await retries(node).filled(request), within_s=WITHIN_S)
    return answers[0].execution


async def ended(node: OneNode, name: str, state: str, **fields: Any) -> None:
    token = await node.start(name, input=c.Payload(inline=b'[{"a":1}]'), **fields)
    await node.say(end_attempt=c.EndAttempt(execution=name, token=token, state=state))


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED"])
async def test_retry_submits_the_same_input_and_names_its_origin(node: OneNode, state: str) -> None:
    await ended(node, "e1", state)
    again = await retry(node, "e1", "again")
    assert again != "e1"
    execution = node.state.executions[ExecutionId(again)]
    row = await node.store.payload(again, "input")
    assert (execution.process, execution.origin) == ("orders", "e1")
    assert row is not None
    assert await node.payloads.kept(row) == b'[{"a":1}]'


async def test_retry_of_a_cancelled_execution_does_not_bring_that_one_back(node: OneNode) -> None:
    await node.submit("e1")
    await node.say(cancel_execution=c.CancelExecution(execution="e1"))
    again = await retry(node, "e1", "again")
    assert ExecutionId(again) in node.state.executions
    assert node.state.ended[ExecutionId("e1")].state == "CANCELLED"


async def test_retry_twice_with_one_key_is_one_execution(node: OneNode) -> None:
    await ended(node, "e1", "FAILED")
    assert await retry(node, "e1", "again") == await retry(node, "e1", "again")


async def test_retry_of_a_retry_keeps_the_first_origin(node: OneNode) -> None:
    await ended(node, "e1", "FAILED")
    again = await retry(node, "e1", "again")
    await node.say(cancel_execution=c.CancelExecution(execution=again))
    third = await retry(node, again, "once more")
    assert node.state.executions[ExecutionId(third)].origin == "e1"


async def test_only_what_has_ended_can_be_tried_again(node: OneNode) -> None:
    await node.submit("e1")
    with pytest.raises(WrongState, match="is PENDING"):
        await retry(node, "e1", "again")
    with pytest.raises(NotFound, match="e9"):
        await retry(node, "e9", "again")
