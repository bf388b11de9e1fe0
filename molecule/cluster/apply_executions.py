"""Commands that assign, checkpoint, end and cancel executions.

Accepting them belongs to `apply_submissions.py`, moving them to `transitions.py`, the fence to
`tokens.py`, effects to `apply_effects.py`. What stays true: what was accepted ends exactly once,
and nothing that is terminal is brought back.
"""

from typing import Final

from molecule.cluster import (
    answers,
    apply_signals,
    apply_tables,
    documents,
    gates,
    losing,
    placement,
    queues,
    records,
    tokens,
    transitions,
)
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.bounds import duration
from molecule.cluster.changes import Changes
from molecule.cluster.execution import (
    NO_NODE,
    NO_PAYLOAD,
    Awaited,
    Execution,
    PayloadMark,
)
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import (
    ClusterState,
    Node,
)
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, NodeId
from molecule.wire.v1 import commands_pb2 as wire

_S: Final = ExecutionState


def assign_execution(
    state: ClusterState, command: wire.AssignExecution, changes: Changes
) -> Outcome:
    """Give a pending execution to a node and mint its token; the plan is re-checked."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        return Rejected("unknown_execution")
    if execution.state is not _S.PENDING:
        return Rejected("not_pending", {"state": execution.state.value})
    node = state.nodes.get(NodeId(command.node))
    if node is None or node.incarnation != command.incarnation:
        return Rejected("stale_incarnation")
    refusal = _cannot_run(state, execution, node)
    if refusal:
        return Rejected(refusal)

    not_chosen = [{"node": other.node, "reason": other.reason} for other in command.not_chosen]
    facts = {"reason": command.reason, "not_chosen": not_chosen}
    token = transitions.assign(state, execution, node, changes, facts=facts)
    return Applied(token, {"attempt": execution.attempts})


def _cannot_run(state: ClusterState, execution: Execution, node: Node) -> str:
    """Why the node cannot be given this pending execution now; empty when it can."""
    if not node.is_schedulable:
        return "not_schedulable"
    if node.slots_free <= 0:
        return "no_slot"
    if not execution.ready_serial:
        return "key_held"
    if queues.is_paused(state, execution.environment, execution.process):
        return "paused"
    if not execution.started_at_ms and 0 < execution.expires_at_ms <= state.time_ms:
        return "expired"
    if execution.progress is not None and execution.progress.held_for not in (NO_NODE, node.id):
        return "held_for"
    return "" if placement.fits(queues.version_of(state, execution), node) else "labels"


def record_checkpoint(
    state: ClusterState, command: wire.RecordCheckpoint, changes: Changes
) -> Outcome:
    """Move the place from which the execution resumes; the same sequence again changes nothing."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_checkpoint(execution, command.token):
        return tokens.refuse(state, command.execution, command.token, changes, word="checkpoint")
    if 0 < command.sequence <= execution.sequence:
        return Applied(execution.sequence, {"repeated": True})
    if command.sequence != execution.sequence + 1:
        return Rejected("gap", {"expected": execution.sequence + 1})
    if not records.has_room(state, execution, command.dead_letters):
        return Rejected("limit", {"limit": "dead_letters_per_execution_max"})
    if not answers.is_sound(command):
        return Rejected("invalid", {"field": "answer"})

    changes.touch(execution)
    progress = transitions.progress_of(execution)
    documents.release(state, changes, progress.position.digests)
    progress.position = documents.keep(
        state, changes, execution.id, slot="position", payload=command.position
    )
    progress.sequence += 1
    _forget_covered(state, execution, command, changes)
    apply_tables.forget_confirmed(execution)
    apply_signals.take(state, execution, command.consumed, changes)
    answers.keep(state, execution, command, changes)
    records.tell_steps(state, execution, command.steps, changes)
    records.keep_dead_letters(state, execution, command.dead_letters, changes)
    changes.tell(state, execution, "checkpoint", {"sequence": progress.sequence})
    return Applied(progress.sequence)


def _forget_covered(
    state: ClusterState, execution: Execution, command: wire.RecordCheckpoint, changes: Changes
) -> None:
    """What is known of effects is in the position now, so it need not be remembered here.

    An effect that is still open stays, but for an idempotent one whose step is over: it was sent.
    """
    passed = {step.step for step in command.steps}
    intents = transitions.progress_of(execution).intents
    for key, intent in list(intents.items()):
        is_over = intent.step in passed and intent.effect is Effect.IDEMPOTENT
        if is_over or not intent.is_open:
            if intent.request_digest:
                documents.release(state, changes, (intent.request_digest,))
            del intents[key]


def end_attempt(state: ClusterState, command: wire.EndAttempt, changes: Changes) -> Outcome:
    """The holder's last word on this attempt."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_end(execution, command.token):
        if _was_said_before(state, command):
            return tokens.repeated(command.token)
        word = f"end:{command.state}"
        return tokens.refuse(state, command.execution, command.token, changes, word=word)
    in_doubt = [key for key, intent in execution.intents.items() if intent.is_in_doubt]
    if command.state not in _ENDS:
        return Rejected("invalid", {"field": "state"})
    if command.state in _TERMINAL_ENDS and in_doubt:
        return Rejected("effects_open", {"count": len(in_doubt)})
    if command.state == _S.IN_DOUBT and not in_doubt:
        return Rejected("nothing_in_doubt")
    if not records.has_room(state, execution, command.dead_letters):
        return Rejected("limit", {"limit": "dead_letters_per_execution_max"})
    if not answers.is_sound(command):
        return Rejected("invalid", {"field": "answer"})

    changes.touch(execution)
    answers.keep(state, execution, command, changes)
    execution.token_ended = execution.token
    transitions.progress_of(execution).documents_failed += command.documents_failed
    records.tell_steps(state, execution, command.steps, changes)
    records.keep_dead_letters(state, execution, command.dead_letters, changes)
    result = NO_PAYLOAD
    if command.HasField("result") and command.state in _TERMINAL_ENDS:
        result = documents.keep(state, changes, execution.id, slot="result", payload=command.result)
    _end_as(state, execution, command, changes, result=result)
    return Applied(command.token, {"state": execution.state.value})


_TERMINAL_ENDS: Final = (_S.COMPLETED, _S.FAILED)
_ENDS: Final = (*_TERMINAL_ENDS, _S.IN_DOUBT, _S.WAITING, _S.PENDING)


def _was_said_before(state: ClusterState, command: wire.EndAttempt) -> bool:
    execution_id = ExecutionId(command.execution)
    known = state.executions.get(execution_id) or state.ended.get(execution_id)
    return known is not None and known.token_ended == command.token > 0


def _end_as(
    state: ClusterState,
    execution: Execution,
    command: wire.EndAttempt,
    changes: Changes,
    *,
    result: PayloadMark,
) -> None:
    reason = records.text(state, command.reason)
    match ExecutionState(command.state):
        case _S.COMPLETED | _S.FAILED as target:
            transitions.end(
                state,
                execution,
                target,
                changes,
                reason=reason,
                error_code=records.text(state, command.error_code),
                error=records.text(state, command.error),
                step=records.text(state, command.step),
                result=result,
            )
        case _S.IN_DOUBT:
            state.totals["in_doubt"] += 1
            _, effects = losing.ask_people(execution)
            facts = {"effects": effects, "step": command.step}
            transitions.park(
                state, execution, _S.IN_DOUBT, changes, reason=reason or "in_doubt", facts=facts
            )
        case _S.WAITING:
            _wait(state, execution, command, changes, reason=reason or "wait")
        case _:
            until_ms = transitions.doubt_ends_ms(state, execution)
            reason = reason or "handed_back"
            if until_ms:
                transitions.wait(state, execution, changes, until_ms=until_ms, reason=reason)
            else:
                transitions.give_back(state, execution, changes, reason=reason)


def _wait(
    state: ClusterState,
    execution: Execution,
    command: wire.EndAttempt,
    changes: Changes,
    *,
    reason: str,
) -> None:
    """Let it wait as its holder says; a signal that it asks for may be there already."""
    awaited = tuple(Awaited(one.name, one.correlation) for one in command.awaited)
    until_ms = max(command.wait_until_ms, state.time_ms + duration(command.wait_ms))
    is_timed = command.wait_until_ms > 0 or command.wait_ms > 0
    is_known = (execution.environment, command.gate) in state.connections
    if not is_timed and (awaited or is_known or (command.until_released and not command.gate)):
        until_ms = 0
    else:
        until_ms = max(until_ms, transitions.doubt_ends_ms(state, execution))
    transitions.wait(
        state,
        execution,
        changes,
        until_ms=until_ms,
        reason=reason,
        awaited=awaited,
        gate=command.gate,
    )
    transitions.end_wait_for_signal(state, execution, changes)


def cancel_execution(
    state: ClusterState, command: wire.CancelExecution, changes: Changes
) -> Outcome:
    """End it as CANCELLED from wherever it is; what its holder says later is refused."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        ended = state.ended.get(ExecutionId(command.execution))
        if ended is None:
            return Rejected("unknown_execution")
        if ended.state is _S.CANCELLED:
            return Applied(0, {"repeated": True})
        return Rejected("wrong_state", {"state": ended.state.value})

    actor = actor_text(command.actor)
    changes.touch(execution)
    changes.tell(state, execution, "cancel", {"actor": actor})
    reason = records.text(state, command.reason) or "cancelled"
    transitions.end(state, execution, _S.CANCELLED, changes, reason=reason)
    return Applied()


def release_execution(
    state: ClusterState, command: wire.ReleaseExecution, changes: Changes
) -> Outcome:
    """End a wait whose time has come."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        return Rejected("unknown_execution")
    progress = execution.progress
    if execution.state is not _S.WAITING or progress is None:
        return Rejected("wrong_state", {"state": execution.state.value})
    if progress.wait_number != command.wait_number:
        return Rejected("stale_wait", {"current": progress.wait_number})
    # A wait without a time may end at any moment, but not before what was sent is over.
    in_doubt_until_ms = transitions.doubt_ends_ms(state, execution)
    not_before_ms = max(progress.wait_until_ms, in_doubt_until_ms)
    connection = gates.connection_of(state, execution)
    is_before_gate = connection is not None and not 0 < progress.wait_until_ms <= state.time_ms
    if is_before_gate:
        not_before_ms = in_doubt_until_ms
    if state.time_ms < not_before_ms:
        return Rejected("too_early", {"not_before_ms": not_before_ms})
    if is_before_gate and connection is not None:
        if not gates.room(connection, time_ms=state.time_ms):
            return Rejected("gate_closed", {"until_ms": connection.open_until_ms})
        gates.let_through(state, execution, changes)

    transitions.give_back(state, execution, changes, reason="wait_over")
    return Applied()
