"""What looks like a broken promise and is none: no check may alarm."""

from collections.abc import Callable

import pytest

from chaos import records as r
from chaos import verdict
from chaos.history import History
from chaos.record import Record
from molecule.model.execution import ExecutionState
from tests.unit.chaos.edits import Edit
from tests.unit.chaos.good_runs import FINAL_US, good
from tests.unit.chaos.stories import PROCESSES

GOOD = good(5)


def broken(change: Callable[[Edit], None]) -> set[str]:
    edit = Edit(GOOD)
    change(edit)
    history: History = edit.made()
    return {f"{one.invariant} {one.rule}" for one in verdict.judge(history).violations}


def test_a_process_that_may_begin_anew_tells_its_steps_again() -> None:
    def again(edit: Edit, *, may_restart: bool) -> None:
        execution = edit.ending("orders").execution
        edit.rows(execution, lambda row: [row, row] if row.facts.get("step") == "note" else [row])
        orders = PROCESSES["orders"].model_copy(update={"may_restart": may_restart})
        edit.change(GOOD.header, processes={**PROCESSES, "orders": orders})

    assert broken(lambda edit: again(edit, may_restart=False)) == {
        "I2 a committed step was done again"
    }
    assert broken(lambda edit: again(edit, may_restart=True)) == set()


def test_a_timeline_that_was_cut_misses_no_step() -> None:
    def cut(edit: Edit, *, is_told: bool) -> None:
        execution = edit.ending("orders").execution
        truncated = r.TimelineRow(index=1, kind="truncated")
        edit.rows(
            execution,
            lambda row: (
                ([truncated] if is_told else []) if row.facts.get("step") == "pay" else [row]
            ),
        )

    assert broken(lambda edit: cut(edit, is_told=False)) == {
        "I2 completed, and a step is not in the timeline"
    }
    assert broken(lambda edit: cut(edit, is_told=True)) == set()


def test_what_a_later_submission_replaced_was_cancelled_by_nobody() -> None:
    def replaced(edit: Edit, *, is_declared: bool) -> None:
        ending = edit.ending(state=ExecutionState.CANCELLED)
        edit.refuse_cancels(ending.execution)
        declared = PROCESSES[ending.process].model_copy(update={"may_be_replaced": is_declared})
        edit.change(GOOD.header, processes={**PROCESSES, ending.process: declared})

    assert broken(lambda edit: replaced(edit, is_declared=False)) == {"I1 nobody cancelled it"}
    assert broken(lambda edit: replaced(edit, is_declared=True)) == set()


def test_what_nobody_answers_for_may_stay_parked() -> None:
    def in_doubt(edit: Edit, *, may_remain: bool) -> None:
        execution = edit.ending("orders").execution
        edit.rows(execution, lambda row: [] if row.kind == "ended" else [row])
        edit.change_each(
            r.Ending,
            lambda one: one.execution == execution,
            lambda one: one.model_copy(
                update={"state": ExecutionState.IN_DOUBT, "reason": "in_doubt"}
            ),
        )
        # No client was ever told of an end.
        edit.change_each(
            r.Answered,
            lambda one: one.state is not None and one.execution == execution,
            lambda one: one.model_copy(update={"state": ExecutionState.IN_DOUBT}),
        )
        shows = {
            one.invoked.operation
            for one in GOOD.operations
            if isinstance(one.ask, r.Show) and one.ask.execution == execution
        }
        edit.change_each(
            r.Answered,
            lambda one: one.operation in shows,
            lambda one: one.model_copy(update={"state": ExecutionState.IN_DOUBT}),
        )
        edit.change_each(
            r.Books,
            lambda _: True,
            lambda one: one.model_copy(update={"completed": one.completed - 1, "parked": 1}),
        )
        edit.change(GOOD.header, parked_may_remain=may_remain)

    assert broken(lambda edit: in_doubt(edit, may_remain=False)) == {"I1 no terminal state"}
    assert broken(lambda edit: in_doubt(edit, may_remain=True)) == set()


def test_an_owner_that_lost_it_may_be_heard_until_its_request_must_have_ended() -> None:
    def late(edit: Edit, *, by_us: int) -> None:
        execution = edit.ending("orders").execution
        edit.shows(execution, ExecutionState.COMPLETED)
        told = FINAL_US + 6
        same = edit.effect(execution, "note").model_dump(exclude={"kind", "wall_ms", "at_us"})
        allowed_us = GOOD.header.bounds.late_effect_ms * 1000
        # Nobody was told of its end before.
        edit.change_each(
            r.Answered,
            lambda one: one.at_us < FINAL_US and one.execution == execution,
            lambda one: one.model_copy(update={"state": None}),
        )
        shows = {
            one.invoked.operation
            for one in GOOD.operations
            if isinstance(one.ask, r.Show) and one.ask.execution == execution
        }
        edit.change_each(
            r.Answered,
            lambda one: one.operation in shows,
            lambda one: one.model_copy(update={"state": ExecutionState.ASSIGNED}),
        )
        edit.add(r.EffectSeen, at_us=told + allowed_us + by_us, **same)

    assert broken(lambda edit: late(edit, by_us=0)) == set()
    assert broken(lambda edit: late(edit, by_us=1)) == {"I4 an effect after the end"}


def test_the_end_of_a_token_and_its_last_word_may_stand_in_one_entry() -> None:
    def last_word(edit: Edit, *, behind: int) -> None:
        execution = edit.ending(moved=True).execution
        rows = GOOD.timelines[execution].rows
        lost = next(row for row in rows if row.kind == "pending")
        edit.add(
            r.Word,
            at_us=1_500_000,
            index=lost.index + behind,
            execution=execution,
            word="checkpoint",
            token=lost.token,
            accepted=True,
        )

    assert broken(lambda edit: last_word(edit, behind=0)) == set()
    assert broken(lambda edit: last_word(edit, behind=1)) == {"I4 an old token committed"}


def test_a_disk_that_was_taken_on_purpose_may_be_empty_and_vote_again() -> None:
    assert broken(lambda edit: edit.drop(r.Wiped)) == {
        "I6 durable is less than promised",
        "I6 two votes in one term",
    }


def test_books_of_a_node_that_told_no_states_are_compared_with_nothing() -> None:
    def silent(edit: Edit) -> None:
        edit.drop(r.Ending, lambda one: one.node == "n3")
        books = GOOD.each(r.Books)[2]
        edit.change(books, accepted=books.accepted + 1, completed=books.completed + 1)

    assert broken(silent) == set()


@pytest.mark.parametrize("kind", [r.Timeline, r.Measured, r.Books, r.Led])
def test_what_was_not_looked_at_breaks_nothing(kind: type[Record]) -> None:
    """That it lacks is for the verdict to say."""
    assert broken(lambda edit: edit.drop(kind)) == set()
