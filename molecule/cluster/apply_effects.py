"""Commands about effects: begun, confirmed, resolved by a person.

The fence belongs to `tokens.py`. What stays true: an effect of class `once` that is in doubt is not
begun again, and nobody may call it not done before its last possible request is over.
"""

from dataclasses import replace
from typing import Final

from molecule.cluster import apply_tables, documents, losing, records, tokens, transitions
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.bounds import duration, instant
from molecule.cluster.changes import Changes
from molecule.cluster.execution import (
    Execution,
    Intent,
)
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import (
    ClusterState,
)
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import EffectKey, ExecutionId
from molecule.wire.v1 import commands_pb2 as wire

_EFFECTS: Final = {Effect.ONCE.value: Effect.ONCE, Effect.IDEMPOTENT.value: Effect.IDEMPOTENT}

_CONFIRMED: Final = {
    "sent": "done",
    "verified_done": "done",
    "verified_not_done": "not_done",
    "failed_definitely": "not_done",
}

_ANSWERS: Final = ("done", "not_done", "fail", "ask")


def record_intents(state: ClusterState, command: wire.RecordIntents, changes: Changes) -> Outcome:
    """Remember what is about to be sent; all of the batch or nothing."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_intend(execution, command.token):
        return tokens.refuse(state, command.execution, command.token, changes, word="intent")
    if command.sequence and command.sequence != execution.sequence:
        # A copy that was held up on its way: what it begins is over and must not be in doubt again
        return Rejected("stale_sequence", {"current": execution.sequence})
    fresh: dict[EffectKey, wire.Intent] = {}
    for asked in command.intents:
        key = EffectKey(asked.effect_key)
        refusal = _intent_refusal(execution, asked)
        if refusal is not None:
            return refusal
        if not _is_open_already(execution, key):
            fresh[key] = asked
    open_now = sum(intent.is_open for intent in execution.intents.values())
    if open_now + len(fresh) > state.bounds.intents_open_per_execution_max:
        return Rejected("limit", {"limit": "intents_open_per_execution_max"})

    changes.touch(execution)
    for key, asked in fresh.items():
        _begin(state, execution, key, asked, changes)
    deadlines = [intent.deadline_at_ms for intent in execution.intents.values() if intent.is_open]
    return Applied(max(deadlines, default=0), {"begun": len(fresh)})


def _intent_refusal(execution: Execution, asked: wire.Intent) -> Rejected | None:
    if not asked.effect_key or asked.effect not in _EFFECTS:
        return Rejected("invalid", {"field": "effect" if asked.effect_key else "effect_key"})
    known = execution.intents.get(EffectKey(asked.effect_key))
    if known is None:
        return None
    if known.resolution in ("done", "fail"):
        return Rejected("effect_settled", {"effect": known.effect_key, "how": known.resolution})
    if known.is_in_doubt and known.token != execution.token:
        return Rejected("effect_in_doubt", {"effect": known.effect_key})
    return None


def _is_open_already(execution: Execution, key: EffectKey) -> bool:
    # A repeat must keep the first bytes and the first deadline: they are what may have been sent.
    known = execution.intents.get(key)
    return known is not None and known.is_open


def _begin(
    state: ClusterState, execution: Execution, key: EffectKey, asked: wire.Intent, changes: Changes
) -> None:
    progress = transitions.progress_of(execution)
    progress.once_begun = progress.once_begun or _EFFECTS[asked.effect] is Effect.ONCE
    intents = progress.intents
    former = intents.pop(key, None)
    if former is not None and former.request_digest:
        documents.release(state, changes, (former.request_digest,))
    if asked.request.digest:
        documents.refer(
            state, changes, digest=asked.request.digest, size_bytes=asked.request.size_bytes
        )
    intents[key] = Intent(
        effect_key=key,
        step=asked.step,
        document=asked.document,
        effect=_EFFECTS[asked.effect],
        target=records.text(state, asked.target),
        request_digest=asked.request.digest,
        request_size_bytes=asked.request.size_bytes,
        verifiable=asked.verifiable,
        token=execution.token,
        recorded_at_ms=state.time_ms,
        deadline_at_ms=instant(state.time_ms + duration(asked.timeout_ms)),
    )
    target = intents[key].target
    facts = {"effect": key, "step": asked.step, "class": asked.effect, "target": target}
    changes.tell(state, execution, "intent", facts)


def confirm_effects(state: ClusterState, command: wire.ConfirmEffects, changes: Changes) -> Outcome:
    """Note what became of effects; all of the batch or nothing.

    An effect that is not remembered lies behind a checkpoint: the word was said and applied before.
    """
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_confirm(execution, command.token):
        return tokens.refuse(state, command.execution, command.token, changes, word="confirm")
    told: dict[EffectKey, str] = {}
    for confirmation in command.confirmations:
        key = EffectKey(confirmation.effect_key)
        known = execution.intents.get(key)
        resolution = _CONFIRMED.get(confirmation.how)
        if resolution is None:
            return Rejected("invalid", {"field": "how"})
        if known is None:
            continue
        if known.is_open:
            told[key] = confirmation.how
        elif known.resolution != resolution:
            return Rejected("effect_settled", {"effect": key, "how": known.resolution})

    changes.touch(execution)
    intents = transitions.progress_of(execution).intents
    for key, how in told.items():
        intents[key] = replace(intents[key], resolution=_CONFIRMED[how])
        changes.tell(state, execution, "confirmed", {"effect": key, "how": how})
    for confirmation in command.confirmations:
        apply_tables.confirm(execution, EffectKey(confirmation.effect_key))
    return Applied(0, {"confirmed": len(told)})


def resolve_effects(state: ClusterState, command: wire.ResolveEffects, changes: Changes) -> Outcome:
    """A person's answers to doubts; with the last one the execution goes on, or fails."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        ended = state.ended.get(ExecutionId(command.execution))
        if ended is None:
            return Rejected("unknown_execution")
        return Rejected("wrong_state", {"state": ended.state.value})
    if execution.state is not ExecutionState.IN_DOUBT:
        return Rejected("wrong_state", {"state": execution.state.value})
    answers: dict[EffectKey, str] = {}
    for answer in command.answers:
        known = execution.intents.get(EffectKey(answer.effect_key))
        if answer.answer not in _ANSWERS:
            return Rejected("invalid", {"field": "answer"})
        if known is None or not known.is_in_doubt:
            return Rejected("unknown_effect", {"effect": answer.effect_key})
        # Before this instant the old holder's request may still arrive behind the answer.
        not_before_ms = instant(known.deadline_at_ms + state.lease_hold_ms)
        if answer.answer in ("not_done", "ask") and state.time_ms < not_before_ms:
            return Rejected(
                "too_early", {"effect": known.effect_key, "not_before_ms": not_before_ms}
            )
        if answer.answer == "ask" and losing.only_ends(state, execution):
            return Rejected("nobody_asks", {"effect": known.effect_key})
        answers[known.effect_key] = answer.answer

    changes.touch(execution)
    intents = transitions.progress_of(execution).intents
    actor = actor_text(command.actor)
    reason = records.text(state, command.reason)
    for key, said in answers.items():
        intents[key] = replace(intents[key], resolution=said)
        facts = {"effect": key, "answer": said, "actor": actor, "reason": reason}
        changes.tell(state, execution, "resolved", facts)
    _go_on(state, execution, changes)
    return Applied(0, {"state": execution.state.value})


def _go_on(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Leave IN_DOUBT when every doubt has its answer."""
    intents = execution.intents.values()
    if any(intent.is_in_doubt and intent.resolution != "ask" for intent in intents):
        return
    if losing.only_ends(state, execution):
        losing.end(state, execution, changes, reason=execution.reason)
        return
    # A document that a person gave up stops only itself: all must be given up to end it here.
    once = [intent for intent in intents if intent.effect is Effect.ONCE]
    if all(intent.resolution == "fail" for intent in once):
        transitions.end(
            state,
            execution,
            ExecutionState.FAILED,
            changes,
            reason="resolved",
            error_code="in_doubt_failed",
            step=once[0].step,
        )
        return
    transitions.give_back(state, execution, changes, reason="resolved")
