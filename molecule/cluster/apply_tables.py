"""Commands about key tables and claimed keys: by the holder of an execution, or by a person.

What a change comes to is told by `key_tables.py` and `claims.py`. What stays true: however often
the holder says the same, it is carried out once and answered the same, until it has confirmed the
answer and a checkpoint holds the result.
"""

from dataclasses import replace

from molecule.cluster import claims, key_tables, tokens, transitions
from molecule.cluster.bounds import duration
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Answer, Execution
from molecule.cluster.hashing import fingerprint
from molecule.cluster.key_rows import TableName
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.ids import EffectKey, ExecutionId
from molecule.wire.v1 import commands_pb2 as wire


def use_table(state: ClusterState, command: wire.UseTable, changes: Changes) -> Outcome:
    """Read or change a row for an execution, as its holder says."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_use_tables(execution, command.token):
        return tokens.refuse(state, command.execution, command.token, changes, word="table")
    name, change = TableName(execution.environment, command.change.table), command.change
    if change.action == "get":
        refusal = key_tables.refusal(state, name, change, may_read=True)
        row = key_tables.found(state, name, change)
        return refusal or Applied(0, key_tables.facts_of(row))
    settled = _settled(state, execution, command.effect_key, command.sequence)
    settled = settled or key_tables.refusal(state, name, change, may_read=False)
    if settled is not None:
        return settled

    answer, detail = key_tables.verdict(state, name, change)
    if answer == key_tables.DONE:
        key_tables.make(state, name, change, changes)
    return _answered(execution, command.effect_key, Answer(answer, detail), changes)


def edit_table(state: ClusterState, command: wire.EditTable, changes: Changes) -> Outcome:
    """Change a row, as a person says; a condition that does not hold is a refusal."""
    name, change = TableName(command.environment, command.change.table), command.change
    if command.environment not in state.environments:
        return Rejected("unknown_environment")
    refusal = key_tables.refusal(state, name, change, may_read=False)
    if refusal is not None:
        return refusal
    answer, detail = key_tables.verdict(state, name, change)
    if answer != key_tables.DONE:
        return Rejected(answer, {"detail": detail})

    key_tables.make(state, name, change, changes)
    return Applied()


def claim_key(state: ClusterState, command: wire.ClaimKey, changes: Changes) -> Outcome:
    """Claim a key for an effect, unless another one has it."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or not tokens.may_use_tables(execution, command.token):
        return tokens.refuse(state, command.execution, command.token, changes, word="claim")
    settled = _settled(state, execution, command.effect_key, command.sequence)
    if settled is not None:
        return settled
    if not command.key:
        return Rejected("invalid", {"field": "key"})
    name = claims.name_of(execution.environment, command.scope, command.key)
    effect, holder = fingerprint(command.effect_key), claims.holder(state, name)
    if holder is None and name not in state.claims and len(state.claims) >= state.bounds.claims_max:
        return Rejected("limit", {"limit": "claims_max"})
    if holder is not None and holder.effect != effect:
        if command.wait and not holder.until_ms:
            return Rejected("under_way", {"by": holder.execution})
        answer = Answer(claims.DUPLICATE, holder.execution)
        return _answered(execution, command.effect_key, answer, changes)

    transitions.progress_of(execution)
    if holder is None:
        window_ms = duration(command.window_ms)
        claims.take(state, execution, changes, name=name, effect=effect, window_ms=window_ms)
    return _answered(execution, command.effect_key, Answer(claims.CLAIMED), changes)


def confirm(execution: Execution, key: EffectKey) -> None:
    """Its holder has the answer; the next checkpoint holds what came of it."""
    answers = transitions.progress_of(execution).answers
    if key in answers:
        answers[key] = replace(answers[key], confirmed=True)


def forget_confirmed(execution: Execution) -> None:
    """A checkpoint holds the results, so that nobody asks for these answers again."""
    answers = transitions.progress_of(execution).answers
    for key in [key for key, answer in answers.items() if answer.confirmed]:
        del answers[key]


def _settled(
    state: ClusterState, execution: Execution, effect_key: str, sequence: int
) -> Outcome | None:
    """The answer that was given before, or why there is none; None: it is to be carried out."""
    if not effect_key:
        return Rejected("invalid", {"field": "effect_key"})
    known = execution.answers.get(EffectKey(effect_key))
    if known is not None:
        return Applied(0, {**_facts(known), "repeated": True})
    if sequence != execution.sequence:
        # A copy that was held up on its way, perhaps behind the checkpoint that has its result.
        return Rejected("stale_sequence", {"current": execution.sequence})
    if len(execution.answers) >= state.bounds.intents_open_per_execution_max:
        return Rejected("limit", {"limit": "intents_open_per_execution_max"})
    return None


def _answered(execution: Execution, key: str, answer: Answer, changes: Changes) -> Outcome:
    changes.touch(execution)
    transitions.progress_of(execution).answers[EffectKey(key)] = answer
    return Applied(0, _facts(answer))


def _facts(answer: Answer) -> dict[str, str | int | bool]:
    return {"answer": answer.answer, "value": answer.detail}
