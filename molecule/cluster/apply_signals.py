"""Signals: what somebody tells an execution, kept until its `await` takes it.

A signal may come before its `await`, while nobody runs the execution, or between two owners. What
stays true: an accepted signal is taken once, in a checkpoint, or dropped with the end of its
execution; saying it again under its id changes nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from molecule.cluster import documents, queues, transitions
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.changes import Changes
from molecule.cluster.execution import NO_PAYLOAD, Awaited, Execution, Signal
from molecule.cluster.hashing import fingerprint
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.ids import ExecutionId, SignalId
from molecule.wire.v1 import commands_pb2 as wire


def signal_execution(
    state: ClusterState, command: wire.SignalExecution, changes: Changes
) -> Outcome:
    """Keep a signal for its execution, and let the execution go on when it waits for it."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        return _told_after_the_end(state, command)
    signal_id, digest = SignalId(command.signal), _fingerprint(command)
    known = execution.signals.get(signal_id)
    if known is not None:
        if known.body_digest != digest:
            return Rejected("key_conflict", {"execution": execution.id})
        return Applied(0, {"state": execution.state.value, "repeated": True})
    if not command.signal or not command.name:
        return Rejected("invalid", {"field": "name" if command.signal else "key"})
    if len(execution.signals) >= state.bounds.signals_per_execution_max:
        return Rejected("limit", {"limit": "signals_per_execution_max"})

    changes.touch(execution)
    awaited = Awaited(command.name, command.correlation)
    payload = documents.keep(
        state,
        changes,
        execution.id,
        slot=transitions.signal_slot(signal_id),
        payload=command.payload,
    )
    signal = Signal(signal_id, awaited, digest, payload, state.time_ms)
    transitions.progress_of(execution).signals[signal_id] = signal
    told = {"signal": command.name, "actor": actor_text(command.actor)}
    changes.tell(state, execution, "signal", told)
    transitions.end_wait_for_signal(state, execution, changes)
    return Applied(0, {"state": execution.state.value})


def take(state: ClusterState, execution: Execution, taken: Iterable[str], changes: Changes) -> None:
    """What the position holds now need not be kept beside it; the ids stay, to know repeats."""
    signals = execution.signals
    # A restart throws the position away, and with it what was taken from the signals.
    keeps = queues.version_of(state, execution).failover == "restart"
    for signal_id in map(SignalId, taken):
        signal = signals.get(signal_id)
        if signal is None or signal.consumed:
            continue
        if not keeps:
            documents.drop(
                state,
                changes,
                execution.id,
                slot=transitions.signal_slot(signal_id),
                mark=signal.payload,
            )
        kept = signal.payload if keeps else NO_PAYLOAD
        signals[signal_id] = replace(signal, consumed=True, payload=kept)
        changes.tell(state, execution, "signal_taken", {"signal": signal.awaited.name})


def _told_after_the_end(state: ClusterState, command: wire.SignalExecution) -> Outcome:
    ended = state.ended.get(ExecutionId(command.execution))
    if ended is None:
        return Rejected("unknown_execution")
    if _fingerprint(command) in ended.signals:
        return Applied(0, {"state": ended.state.value, "repeated": True})
    return Rejected("wrong_state", {"state": ended.state.value})


def _fingerprint(command: wire.SignalExecution) -> bytes:
    return fingerprint(f"{command.signal}\0{command.body_digest}")
