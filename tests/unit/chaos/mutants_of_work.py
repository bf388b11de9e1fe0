"""Mutants of I2 to I5: steps, effects, tokens and order."""

from collections import Counter
from itertools import pairwise

from chaos import records as r
from molecule.model.execution import ExecutionState
from tests.unit.chaos.edits import Edit, first, fits
from tests.unit.chaos.good_runs import FINAL_US
from tests.unit.chaos.mutants import Mutants
from tests.unit.chaos.stories import LATE_EFFECT_MS

MUTANTS = Mutants()
COMPLETED, FAILED, CANCELLED = (
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
    ExecutionState.CANCELLED,
)


# --- I2 -------------------------------------------------------------------


@MUTANTS.of("I2", "completed without a step")
def completed_and_a_step_never_happened(edit: Edit) -> str:
    execution = edit.ending("orders").execution
    edit.drop(r.EffectSeen, lambda one: (one.origin, one.step) == (execution, "note"))
    return execution


@MUTANTS.of("I2", "completed, and a step is not in the timeline")
def completed_and_a_step_is_not_told(edit: Edit) -> str:
    execution = edit.ending("orders").execution
    edit.rows(execution, lambda row: [] if row.facts.get("step") == "pay" else [row])
    return execution


@MUTANTS.of("I2", "a committed step left no effect")
def committed_step_without_effect(edit: Edit) -> str:
    execution = edit.ending("orders", FAILED).execution
    edit.drop(r.EffectSeen, lambda one: (one.origin, one.step) == (execution, "pay"))
    return execution


@MUTANTS.of("I2", "a committed step was done again")
def committed_step_repeated(edit: Edit) -> str:
    execution = edit.ending("orders").execution
    edit.rows(execution, lambda row: [row, row] if row.facts.get("step") == "note" else [row])
    return execution


# --- I3 -------------------------------------------------------------------


def repeated(edit: Edit, effect: r.EffectSeen, **fields: object) -> str:
    """The effect arrives once more, a moment later."""
    same = effect.model_dump(exclude={"kind", "wall_ms"}) | {"at_us": effect.at_us + 1}
    edit.add(r.EffectSeen, **{**same, **fields})
    return effect.origin


@MUTANTS.of("I3", "`once` happened twice")
def once_effect_repeated(edit: Edit) -> str:
    return repeated(edit, edit.effect(edit.ending("orders").execution, "pay"))


@MUTANTS.of("I3", "`once` happened twice")
def once_effect_repeated_in_an_ordered_lane(edit: Edit) -> str:
    return repeated(edit, edit.effect(edit.ending("queue").execution, "tell"))


@MUTANTS.of("I3", "a key was applied twice")
def key_applied_twice_at_its_target(edit: Edit) -> str:
    return repeated(edit, edit.effect(edit.ending("rows").execution, "put"), applied=True)


@MUTANTS.of("I3", "a repeat brought other bytes")
def repeat_with_other_bytes(edit: Edit) -> str:
    return repeated(edit, edit.effect(edit.ending("orders").execution, "note"), digest="other")


@MUTANTS.of("I3", "one effect came under two keys")
def repeat_under_another_key(edit: Edit) -> str:
    effect = edit.effect(edit.ending("orders").execution, "note")
    return repeated(edit, effect, effect_key=f"{effect.effect_key}-2")


@MUTANTS.of("I3", "`once` happened twice")
def retry_does_a_once_effect_twice(edit: Edit) -> str:
    origins = Counter(told[0].origin for told in edit.good.endings.values())
    effect = first(
        one for one in edit.good.each(r.EffectSeen) if one.step == "pay" and origins[one.origin] > 1
    )
    repeated(edit, effect)
    return repeated(edit, effect)


# --- I4 -------------------------------------------------------------------


@MUTANTS.of("I4", "an effect after the end")
def effect_after_an_acknowledged_cancel(edit: Edit) -> str:
    cancel = edit.cancelled()
    execution = cancel.ask.execution if isinstance(cancel.ask, r.Cancel) else ""
    process = edit.good.endings[execution][0].process
    step = edit.good.header.processes[process].steps[0].step
    key = f"{execution}/{step}/d1"
    edit.drop(r.EffectSeen, lambda one: one.origin == execution, needed=False)
    edit.add(
        r.EffectSeen,
        at_us=cancel.answered.at_us + LATE_EFFECT_MS * 1000 + 1,
        target="recorder",
        effect_key=key,
        origin=execution,
        step=step,
        digest=f"bytes of {key}",
        applied=True,
    )
    return execution


@MUTANTS.of("I4", "an effect after the end")
def zombie_repeats_an_effect_of_a_completed_execution(edit: Edit) -> str:
    execution = edit.ending("orders").execution
    edit.shows(execution, COMPLETED)
    late_us = FINAL_US + LATE_EFFECT_MS * 1000 + 10
    return repeated(edit, edit.effect(execution, "note"), at_us=late_us)


@MUTANTS.of("I4", "an old token committed")
def late_word_accepted(edit: Edit) -> str:
    """One that stands in an entry of its own behind the end of its token."""
    ends = {
        (told.execution, row.token): row.index
        for told in edit.good.timelines.values()
        for row in told.rows
        if row.kind in {"pending", "ended"}
    }
    word = first(
        one
        for one in edit.good.each(r.Word)
        if not one.accepted and one.index > ends[one.execution, one.token]
    )
    edit.change(word, accepted=True)
    return word.execution


@MUTANTS.of("I4", "an old token committed")
def checkpoint_told_under_the_former_token(edit: Edit) -> str:
    execution = edit.ending("orders", moved=True).execution
    former, *_, last = edit.assignments(execution)
    steps = [
        row
        for row in edit.good.timelines[execution].rows
        if row.kind == "checkpoint" and row.token == last.token
    ]
    fits(steps)
    edit.rows(
        execution,
        lambda row: [row.model_copy(update={"token": former.token})] if row in steps else [row],
    )
    return execution


@MUTANTS.of("I4", "an old token committed")
def word_accepted_behind_the_end(edit: Edit) -> str:
    execution = edit.ending("rows").execution
    end = edit.good.timelines[execution].rows[-1]
    fits(end.kind == "ended")
    edit.add(
        r.Word,
        at_us=FINAL_US - 1,
        index=end.index + 1,
        execution=execution,
        word="checkpoint",
        token=end.token,
        accepted=True,
    )
    return execution


@MUTANTS.of("I4", "a token did not grow")
def token_went_back(edit: Edit) -> str:
    execution = edit.ending(moved=True).execution
    former = edit.assignments(execution)[0].token
    edit.rows(
        execution,
        lambda row: [row.model_copy(update={"token": 99_999})] if row.token == former else [row],
    )
    return execution


@MUTANTS.of("I4", "a token was given twice")
def token_given_to_two_executions(edit: Edit) -> str:
    one, two = edit.ending("orders").execution, edit.ending("rows").execution
    shared, other = edit.assignments(one)[0].token, edit.assignments(two)[0].token
    fits(len(edit.assignments(two)) == 1)
    edit.rows(
        two,
        lambda row: [row.model_copy(update={"token": shared})] if row.token == other else [row],
    )
    edit.change_each(
        r.Word,
        lambda word: word.execution == two,
        lambda word: word.model_copy(update={"token": shared}),
    )
    return two


@MUTANTS.of("I4", "an attempt was not counted")
def attempt_not_counted(edit: Edit) -> str:
    execution = edit.ending(moved=True).execution
    edit.rows(
        execution,
        lambda row: [row.model_copy(update={"attempt": 1})] if row.attempt == 2 else [row],
    )
    return execution


# --- I5 -------------------------------------------------------------------


@MUTANTS.of("I5", "a later one overtook")
def later_execution_of_a_key_runs_first(edit: Edit) -> str:
    one, two = edit.lane()[:2]
    timelines = edit.good.timelines
    swapped = {one: timelines[two].rows[1:], two: timelines[one].rows[1:]}
    other = {one: two, two: one}
    edit.change_each(
        r.Timeline,
        lambda told: told.execution in swapped,
        lambda told: told.model_copy(update={"rows": (told.rows[0], *swapped[told.execution])}),
    )
    edit.change_each(
        r.Word,
        lambda word: word.execution in other,
        lambda word: word.model_copy(update={"execution": other[word.execution]}),
    )
    return two


@MUTANTS.of("I5", "two ran at the same time")
def two_of_a_key_at_once(edit: Edit) -> str:
    one, two = edit.lane()[1:3]
    end = first(row for row in edit.good.timelines[one].rows if row.kind == "ended")
    start = edit.assignments(two)[0]
    fits(edit.assignments(one)[0].index < end.index)
    edit.rows(
        two,
        lambda row: [row.model_copy(update={"index": end.index - 1})] if row is start else [row],
    )
    return two


@MUTANTS.of("I5", "effects came out of order")
def effects_of_a_key_in_the_wrong_order(edit: Edit) -> str:
    one, two = edit.lane()[:2]
    effect = edit.effect(two, "tell")
    edit.change(effect, at_us=edit.effect(one, "tell").at_us - 1)
    return two


@MUTANTS.of("I5", "accepted in another order than acknowledged")
def acceptance_against_the_acknowledgement(edit: Edit) -> str:
    one, two = first(pair for pair in pairwise(edit.lane()) if _one_by_one(edit, *pair))
    before, after = (edit.good.timelines[each].rows[0] for each in (one, two))
    edit.rows(one, lambda row: [after] if row is before else [row])
    edit.rows(two, lambda row: [before] if row is after else [row])
    return two


def _one_by_one(edit: Edit, one: str, two: str) -> bool:
    """The first was acknowledged before the second was asked for."""
    keys = [edit.good.endings[each][0].idempotency_key for each in (one, two)]
    asked = edit.good.submissions
    told = [op.answered.at_us for ask, op in asked if op.is_ok and ask.idempotency_key == keys[0]]
    sent = [op.invoked.at_us for ask, op in asked if ask.idempotency_key == keys[1]]
    entries = [edit.good.timelines[each].rows[0].index for each in (one, two)]
    return bool(told) and min(told) < min(sent) and entries[0] < entries[1]
