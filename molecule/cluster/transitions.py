"""How an execution moves from state to state: the only code that changes `Execution.state`.

Each function keeps the indexes, the counters, the timeline and the rows in step; whether it may be
called was checked before by an `apply_*` module. What stays true: every move is in
`model.execution.TRANSITIONS`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from molecule.cluster import dedup, documents, gates, holding, queues, retention, row_parts, views
from molecule.cluster.bounds import instant
from molecule.cluster.changes import Changes, HistoryRow, Transition
from molecule.cluster.execution import (
    NO_PAYLOAD,
    Awaited,
    Execution,
    PayloadMark,
    Progress,
)
from molecule.cluster.state import (
    ClusterState,
    KeyHold,
    Node,
)
from molecule.model.errors import invariant
from molecule.model.execution import TERMINAL, ExecutionState, may_become
from molecule.model.ids import SignalId, Token

_S: Final = ExecutionState


def signal_slot(signal: SignalId) -> str:
    """Where the payload of a signal lies, beside its execution's input and position."""
    return f"signal/{signal}"


def progress_of(execution: Execution) -> Progress:
    """Its progress, made when it has none yet."""
    if execution.progress is None:
        execution.progress = Progress()
    return execution.progress


def accept(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Take a new execution in, PENDING, ready unless its key is held."""
    changes.touch(execution)
    state.executions[execution.id] = execution
    state.keys[execution.idempotency_key] = execution.id
    state.totals["accepted"] += 1
    state.counts[_S.PENDING] += 1
    queues.share_of(state, execution).open += 1
    execution.changed_at_ms = state.time_ms
    if execution.deadline_at_ms:
        state.deadlines.add(execution.deadline_at_ms, execution.id)
    if execution.expires_at_ms:
        state.expiries.add(execution.expires_at_ms, execution.id)
    queues.join_key(state, execution)
    if queues.holds_key(state, execution):
        queues.make_ready(state, execution)
    changes.transitions.append(Transition(execution.id, None, _S.PENDING, {}))


def assign(
    state: ClusterState,
    execution: Execution,
    node: Node,
    changes: Changes,
    *,
    facts: Mapping[str, Any],
) -> Token:
    """Give it to `node` under a new token."""
    changes.touch(execution)
    _leave(state, execution, changes)
    state.token_last = Token(state.token_last + 1)
    execution.node = node.id
    execution.incarnation = node.incarnation
    execution.token = state.token_last
    execution.attempts += 1
    execution.started_at_ms = execution.started_at_ms or state.time_ms
    holding.end(state, execution)
    node.held[execution.id] = None
    queues.take_share(state, execution)
    changes.nodes[node.id] = None
    told = {"node": node.id, "token": execution.token, "attempt": execution.attempts}
    _enter(state, execution, _S.ASSIGNED, changes, {**told, **facts})
    changes.tell(state, execution, "assigned", facts)
    return execution.token


def give_back(state: ClusterState, execution: Execution, changes: Changes, *, reason: str) -> None:
    """Make it PENDING again, ready when it holds its key."""
    changes.touch(execution)
    _leave(state, execution, changes)
    execution.reason = reason
    _enter(state, execution, _S.PENDING, changes, {"reason": reason})
    if queues.holds_key(state, execution):
        queues.make_ready(state, execution)
    changes.tell(state, execution, "pending", {"reason": reason})


def wait(
    state: ClusterState,
    execution: Execution,
    changes: Changes,
    *,
    until_ms: int,
    reason: str,
    awaited: tuple[Awaited, ...] = (),
    gate: str = "",
) -> None:
    """Let it wait until the cluster's clock says `until_ms` or a signal comes; it holds no slot.

    0 for `until_ms`: no time ends it, only one of `awaited` or the leader's word.
    """
    changes.touch(execution)
    _leave(state, execution, changes)
    progress = progress_of(execution)
    progress.wait_number += 1
    progress.wait_until_ms = instant(until_ms)
    progress.awaited = awaited
    if progress.wait_until_ms:
        state.waits.add(progress.wait_until_ms, execution.id)
    execution.reason = reason
    facts: dict[str, Any] = {"reason": reason}
    if progress.wait_until_ms:
        facts["until_ms"] = progress.wait_until_ms
    if awaited:
        facts["signals"] = list(dict.fromkeys(one.name for one in awaited))
    if gate:
        facts["connection"] = gate
    _enter(state, execution, _S.WAITING, changes, facts)
    gates.wait_before(state, execution, gate)
    changes.tell(state, execution, "waiting", facts)


def end_wait_for_signal(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Let it go on when it waits for a signal that is there.

    With an effect in doubt it goes on when no late request of the old holder can be under way.
    """
    if execution.state is not _S.WAITING or not has_awaited(execution):
        return
    not_before_ms = doubt_ends_ms(state, execution)
    if not_before_ms <= state.time_ms:
        give_back(state, execution, changes, reason="signal")
        return
    wait_no_longer_than(state, execution, changes, until_ms=not_before_ms)


def wait_no_longer_than(
    state: ClusterState, execution: Execution, changes: Changes, *, until_ms: int
) -> None:
    """Let a wait end at this instant instead of its own."""
    changes.touch(execution)
    state.waits.remove(execution.wait_until_ms, execution.id)
    progress_of(execution).wait_until_ms = instant(until_ms)
    state.waits.add(execution.wait_until_ms, execution.id)


def has_awaited(execution: Execution) -> bool:
    """True when a signal it waits for came and was not taken yet."""
    progress = execution.progress
    if progress is None or not progress.awaited:
        return False
    kept = {one.awaited for one in progress.signals.values() if not one.consumed}
    return any(one in kept for one in progress.awaited)


def park(
    state: ClusterState,
    execution: Execution,
    target: ExecutionState,
    changes: Changes,
    *,
    reason: str,
    facts: Mapping[str, Any],
) -> None:
    """Put it where a person or a rule lets it go again: IN_DOUBT, QUARANTINED or HELD."""
    if target is not _S.IN_DOUBT:
        give_back(state, execution, changes, reason=reason)
    changes.touch(execution)
    _leave(state, execution, changes)
    execution.reason = reason
    state.parked[execution.id] = None
    if execution.deadline_at_ms:
        state.deadlines.remove(execution.deadline_at_ms, execution.id)
    _enter(state, execution, target, changes, {"reason": reason, **facts})
    changes.tell(state, execution, target.value.lower(), {"reason": reason, **facts})
    if not queues.wants_key(state, execution):
        queues.leave_key(state, execution, changes)


def doubt_ends_ms(state: ClusterState, execution: Execution) -> int:
    """When the last possible request of an effect in doubt is over; 0 when none is in doubt."""
    deadlines = [
        intent.deadline_at_ms for intent in execution.intents.values() if intent.is_in_doubt
    ]
    return instant(max(deadlines) + state.lease_hold_ms) if deadlines else 0


def forget_position(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Drop the checkpoint, so that the next holder starts anew; sequence and intents stay."""
    progress = execution.progress
    if progress is not None:
        documents.drop(state, changes, execution.id, slot="position", mark=progress.position)
        progress.position = NO_PAYLOAD
        for name, signal in list(progress.signals.items()):
            progress.signals[name] = replace(signal, consumed=False)


def end(
    state: ClusterState,
    execution: Execution,
    target: ExecutionState,
    changes: Changes,
    *,
    reason: str,
    error_code: str = "",
    error: str = "",
    step: str = "",
    result: PayloadMark = NO_PAYLOAD,
) -> None:
    """Bring it to its terminal state: out of the table, into history; its key still counts."""
    invariant(target in TERMINAL, "end needs a terminal state", target=target)
    changes.touch(execution)
    _leave(state, execution, changes)
    execution.reason = reason
    _enter(state, execution, target, changes, {"reason": reason} if reason else {})
    outcome = {"error_code": error_code, "error": error, "step": step}
    told = {name: text for name, text in outcome.items() if text}
    changes.tell(state, execution, "ended", {"state": target.value, "reason": reason, **told})
    view = {**views.execution(state, execution), **outcome}
    changes.history.append(
        HistoryRow(
            execution=execution.id,
            index=state.index,
            environment=execution.environment,
            process=execution.process,
            version=execution.version,
            group=execution.group,
            state=target,
            accepted_at_ms=execution.accepted_at_ms,
            ended_at_ms=state.time_ms,
            view=view,
        )
    )
    _forget(state, execution, changes, result=result)


def _forget(
    state: ClusterState, execution: Execution, changes: Changes, *, result: PayloadMark
) -> None:
    """Take it out of the tables; input and result stay referred to until they are purged."""
    forget_position(state, execution, changes)
    holding.end(state, execution)
    for signal in execution.signals.values():
        slot = signal_slot(signal.id)
        documents.drop(state, changes, execution.id, slot=slot, mark=signal.payload)
    for intent in execution.intents.values():
        if intent.request_digest:
            documents.release(state, changes, (intent.request_digest,))
    if execution.deadline_at_ms:
        state.deadlines.remove(execution.deadline_at_ms, execution.id)
    _hold_key(state, execution, changes)
    queues.leave_key(state, execution, changes)
    del state.executions[execution.id]
    queues.share_of(state, execution).open -= 1
    dedup.remember(state, execution, queues.version_of(state, execution), changes)
    retention.retain(state, execution, changes, result=result, serial=state.serial_last)
    group = state.groups.get(execution.group)
    if group is not None:
        changes.dirty.mark("groups", group.id)
        changes.groups[group.id] = None
        group.open -= 1
        group.completed += execution.state is _S.COMPLETED
        group.failed += execution.state is _S.FAILED
        group.cancelled += execution.state is _S.CANCELLED
        group.dead_letters += execution.progress.dead_letters if execution.progress else 0


def _hold_key(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Let nobody of its key start before its dead letters are settled, when its version says so."""
    key = queues.key_of(execution)
    letters = execution.progress.dead_letters if execution.progress is not None else 0
    if key is None or not letters:
        return
    if queues.version_of(state, execution).on_dead_letter != "hold_key":
        return
    changes.dirty.mark("key_holds", row_parts.joined(key))
    known = state.key_holds.get(key, KeyHold(execution.id, 0, state.time_ms))
    state.key_holds[key] = replace(known, dead_letters=known.dead_letters + letters)


def _leave(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Take it out of the indexes of the state it is in."""
    match execution.state:
        case _S.PENDING:
            queues.leave_lane(state, execution)
            # What has begun once does not expire any more.
            state.expiries.remove(execution.expires_at_ms, execution.id)
        case _S.ASSIGNED:
            node = state.nodes[execution.node]
            del node.held[execution.id]
            queues.give_share(state, execution)
            changes.nodes[node.id] = None
        case _S.WAITING:
            state.waits.remove(execution.wait_until_ms, execution.id)
            progress_of(execution).awaited = ()
            gates.leave(state, execution, changes)
        case _S.IN_DOUBT | _S.QUARANTINED | _S.HELD | _S.COMPENSATION_FAILED:
            del state.parked[execution.id]
            _resume_deadline(state, execution)
            if execution.concurrency_key and not queues.wants_key(state, execution):
                state.serial_last += 1
                progress_of(execution).key_serial = state.serial_last
                queues.join_key(state, execution)
        case _S.COMPLETED | _S.FAILED | _S.CANCELLED:
            invariant(False, "a terminal execution is never left", execution=execution.id)


def _resume_deadline(state: ClusterState, execution: Execution) -> None:
    """The time it was parked does not count: a person may take longer than a time-out."""
    if execution.deadline_at_ms:
        parked_ms = state.time_ms - execution.changed_at_ms
        execution.deadline_at_ms = instant(execution.deadline_at_ms + parked_ms)
        state.deadlines.add(execution.deadline_at_ms, execution.id)


def _enter(
    state: ClusterState,
    execution: Execution,
    target: ExecutionState,
    changes: Changes,
    facts: Mapping[str, Any],
) -> None:
    source = execution.state
    invariant(may_become(source, target), "no such transition", source=source, target=target)
    state.counts[source] -= 1
    state.counts[target] += 1
    execution.state = target
    gates.forget_pass(state, execution, changes)
    execution.changed_at_ms = state.time_ms
    changes.transitions.append(Transition(execution.id, source, target, facts))
