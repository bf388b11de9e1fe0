"""What a node is told to run, made from the committed state. The message *is* not the assignment.

A delivery only makes an assignment known quickly; the log is the assignment, and the comparison
with each heartbeat closes every gap that a lost delivery leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from molecule.cluster import queues
from molecule.cluster.execution import (
    Execution,
    Intent,
    Signal,
)
from molecule.cluster.state import (
    ClusterState,
    Node,
    TriggerAssignment,
)
from molecule.cluster.transitions import signal_slot
from molecule.model.ids import ExecutionId, ProcessName
from molecule.storage.rows import PayloadRow
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

PayloadName = tuple[str, str]
"""Execution and slot."""


class PayloadRows(Protocol):
    """The part of the state store that deliveries read."""

    async def payloads(self, names: Sequence[PayloadName]) -> Mapping[PayloadName, PayloadRow]:
        """The bytes or the digests in these slots, of those that hold something."""
        ...


def needed(execution: Execution) -> list[PayloadName]:
    """The slots that `run_message` wants of this execution."""
    slots = ["input"]
    if execution.sequence:
        slots.append("position")
    slots += [signal_slot(one.id) for one in execution.signals.values() if not one.consumed]
    return [(execution.id, slot) for slot in slots]


def run_message(
    state: ClusterState, found: Mapping[PayloadName, PayloadRow], execution: Execution
) -> w.RunExecution:
    """Everything that a worker needs to begin or resume this execution; `found` is the needed."""
    environment = state.environments.get(execution.environment)
    version = queues.version_of(state, execution)
    run = w.RunExecution(
        execution=execution.id,
        token=execution.token,
        attempt=execution.attempts,
        process=execution.process,
        version=execution.version,
        environment=execution.environment,
        environment_digest=environment.digest if environment is not None else "",
        sequence=execution.sequence,
        open_intents=[_open_intent(intent) for intent in execution.intents.values()],
        submitted_at_ms=execution.accepted_at_ms,
        deadline_in_ms=(
            max(1, execution.deadline_at_ms - state.time_ms) if execution.deadline_at_ms else 0
        ),
        origin=execution.origin or execution.id,
        alone=execution.is_alone or version.isolation == "process",
        cluster_time_ms=state.time_ms,
        careful=execution.is_alone or execution.reason == "worker_died",
    )
    given = found.get((execution.id, "input"))
    if given is not None:
        if given.inline is not None:
            run.input = given.inline
        else:
            run.input_ref.CopyFrom(stored_payload(given))
    if execution.sequence:
        position = found.get((execution.id, "position"))
        if position is not None and position.inline is not None:
            run.position = position.inline
        elif position is not None:
            run.position_ref.CopyFrom(stored_payload(position))
    for signal in execution.signals.values():
        if not signal.consumed:
            kept = found.get((execution.id, signal_slot(signal.id)))
            run.signals.append(_signal(kept, signal))
    return run


def _signal(kept: PayloadRow | None, signal: Signal) -> w.SignalArrived:
    arrived = w.SignalArrived(
        id=signal.id, name=signal.awaited.name, correlation=signal.awaited.correlation
    )
    if kept is not None and kept.inline is not None:
        arrived.payload.inline = kept.inline
    elif kept is not None:
        arrived.payload.CopyFrom(stored_payload(kept))
    return arrived


def stored_payload(row: PayloadRow) -> c.Payload:
    """The reference to a payload that lies in the document store."""
    return c.Payload(stored=c.DocumentRef(digest=row.digest or "", size_bytes=row.size_bytes))


def _open_intent(intent: Intent) -> w.OpenIntent:
    return w.OpenIntent(
        intent=c.Intent(
            effect_key=intent.effect_key,
            step=intent.step,
            document=intent.document,
            effect=intent.effect.value,
            target=intent.target,
            verifiable=intent.verifiable,
            request=c.DocumentRef(
                digest=intent.request_digest, size_bytes=intent.request_size_bytes
            ),
        ),
        resolution=intent.resolution,
        token=intent.token,
    )


def missing(node: Node, state: ClusterState, beat: p.Heartbeat) -> Iterator[Execution]:
    """Executions that are assigned to the node and that its heartbeat does not name."""
    held = {held.execution: held.token for held in beat.held}
    for execution_id in node.held:
        execution = state.executions[execution_id]
        if held.get(execution_id) != execution.token:
            yield execution


def surplus(node: Node, state: ClusterState, beat: p.Heartbeat) -> Iterator[p.ToAgent]:
    """Stops for what the heartbeat names and the state gives to somebody else or nobody."""
    for held in beat.held:
        execution = state.executions.get(ExecutionId(held.execution))
        owned = (
            execution is not None and execution.token == held.token and held.execution in node.held
        )
        if not owned:
            yield p.ToAgent(
                stop=w.StopExecution(
                    execution=held.execution, token=held.token, reason="not_assigned"
                )
            )


def _trigger_message(state: ClusterState, assigned: TriggerAssignment) -> w.RunTrigger:
    environment = state.environments.get(assigned.environment)
    deployment = state.deployments[assigned.environment, assigned.process]
    return w.RunTrigger(
        environment=assigned.environment,
        process=assigned.process,
        version=assigned.version,
        environment_digest=environment.digest if environment is not None else "",
        token=assigned.token,
        on_since_ms=deployment.trigger_since_ms,
        activated_at_ms=deployment.activated_at_ms,
    )


def triggers(node: Node, state: ClusterState, beat: p.Heartbeat) -> Iterator[p.ToAgent]:
    """Starts and stops that make the node run exactly the triggers the state gives to it."""
    held = {(one.environment, one.process): one.token for one in beat.triggers}
    for name, assigned in state.triggers.items():
        mine = assigned.node == node.id and assigned.incarnation == node.incarnation
        if mine and held.get(name) != assigned.token:
            yield p.ToAgent(run_trigger=_trigger_message(state, assigned))
    for one in beat.triggers:
        current = state.triggers.get((one.environment, ProcessName(one.process)))
        if current is None or current.token != one.token or current.node != node.id:
            yield p.ToAgent(
                stop_trigger=w.StopTrigger(
                    environment=one.environment, process=one.process, token=one.token
                )
            )
