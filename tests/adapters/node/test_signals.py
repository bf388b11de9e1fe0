"""Signals on their way from the door to the worker that takes them."""

import pytest

from molecule.access.policy import ADMIN, ANONYMOUS
from molecule.model import payload
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    KeyConflict,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    WrongState,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, ExecutionId
from molecule.node import deliveries
from molecule.node.signals import Signals
from molecule.wire.v1 import commands_pb2 as c
from tests.adapters.node.one_node import WITHIN_S, OneNode


async def tell(node: OneNode, execution: str = "e1", **fields: object) -> dict[str, object]:
    signals = Signals(forwarder=node.forwarder, payloads=node.payloads, limits=node.limits)
    said = {"key": "k1", "name": "go", "value": {"by": "ann"}, **fields}
    return await signals.tell(ADMIN, execution, said, within_s=WITHIN_S)


async def test_a_signal_is_kept_and_given_to_the_next_owner(node: OneNode) -> None:
    await node.submit("e1")
    told = await tell(node, correlation="order-7")
    assert (told["state"], told["repeated_key"]) == ("PENDING", False)
    execution = node.state.executions[ExecutionId("e1")]
    run = deliveries.run_message(
        node.state, await node.store.payloads(deliveries.needed(execution)), execution
    )
    (arrived,) = run.signals
    assert (arrived.id, arrived.name, arrived.correlation) == ("k1", "go", "order-7")
    assert payload.decode_value(arrived.payload.inline) == {"by": "ann"}


async def test_a_large_payload_lies_in_the_document_store(node: OneNode) -> None:
    await node.submit("e1")
    large = "x" * (node.limits.payload_inline_bytes_max + 1)
    await tell(node, value=large)
    execution = node.state.executions[ExecutionId("e1")]
    run = deliveries.run_message(
        node.state, await node.store.payloads(deliveries.needed(execution)), execution
    )
    content = await node.payloads.get(Digest(run.signals[0].payload.stored.digest))
    assert payload.decode_value(content) == large


async def test_a_signal_lets_an_execution_that_waits_for_it_go_on(node: OneNode) -> None:
    token = await node.start("e1")
    end = c.EndAttempt(execution="e1", token=token, state="WAITING", awaited=[c.Awaited(name="go")])
    await node.say(end_attempt=end)
    await tell(node)
    assert node.state.executions[ExecutionId("e1")].state is not ExecutionState.WAITING


async def test_the_same_key_again_is_told_so(node: OneNode) -> None:
    await node.submit("e1")
    await tell(node)
    assert (await tell(node))["repeated_key"] is True
    with pytest.raises(KeyConflict):
        await tell(node, value="another")


async def test_what_cannot_be_told_is_refused_clearly(node: OneNode) -> None:
    with pytest.raises(NotFound, match="no execution e9"):
        await tell(node, "e9")
    await node.submit("e1")
    with pytest.raises(InvalidInput, match="no name of a signal"):
        await tell(node, name="a b")
    with pytest.raises(LimitExceeded, match="signal_body_bytes_max"):
        await tell(node, value="x" * (node.limits.signal_body_bytes_max + 1))
    with pytest.raises(LimitExceeded, match="correlation"):
        await tell(node, correlation="x" * 257)
    signals = Signals(forwarder=node.forwarder, payloads=node.payloads, limits=node.limits)
    fields = {"key": "k1", "name": "go"}
    with pytest.raises(Unauthenticated):
        await signals.tell(ANONYMOUS, "e1", fields, within_s=WITHIN_S)


async def test_an_execution_that_has_ended_waits_for_nothing(node: OneNode) -> None:
    token = await node.start("e1")
    await node.say(end_attempt=c.EndAttempt(execution="e1", token=token, state="COMPLETED"))
    with pytest.raises(WrongState, match="COMPLETED"):
        await tell(node)


async def test_an_execution_can_be_told_so_much_only(node: OneNode) -> None:
    await node.submit("e1")
    most = node.state.bounds.signals_per_execution_max
    for number in range(most):
        signal = c.SignalExecution(execution="e1", signal=f"s{number}", name="go")
        await node.say(signal_execution=signal)
    with pytest.raises(Conflict, match="signals_per_execution_max"):
        await tell(node)
