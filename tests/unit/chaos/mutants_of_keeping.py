"""Mutants of I1: what was accepted is lost, ends twice, or was never asked for."""

from chaos import records as r
from chaos.records import Outcome
from molecule.model.execution import ExecutionState
from tests.unit.chaos.edits import Edit, first
from tests.unit.chaos.mutants import Mutants

MUTANTS = Mutants()
COMPLETED, FAILED, CANCELLED = (
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
    ExecutionState.CANCELLED,
)


# --- I1 -------------------------------------------------------------------


@MUTANTS.of("I1", "an acknowledged submission is lost")
def execution_lost_everywhere(edit: Edit) -> str:
    execution = edit.ending("orders").execution
    edit.drop(r.Ending, lambda one: one.execution == execution)
    return execution


@MUTANTS.of("I1", "an acknowledged submission is lost")
def execution_lost_on_one_node(edit: Edit) -> str:
    execution = edit.ending().execution
    edit.drop(r.Ending, lambda one: one.execution == execution and one.node == "n2")
    return execution


@MUTANTS.of("I1", "two terminal states")
def two_nodes_tell_different_ends(edit: Edit) -> str:
    ending = edit.ending()
    edit.change(ending, state=FAILED, reason="timeout")
    return ending.execution


@MUTANTS.of("I1", "two terminal states")
def client_is_told_another_end(edit: Edit) -> str:
    execution = edit.ending().execution
    edit.shows(execution, CANCELLED)
    return execution


@MUTANTS.of("I1", "two terminal states")
def timeline_ends_twice(edit: Edit) -> str:
    execution = edit.ending().execution
    end = {"facts": {"state": "FAILED"}}
    edit.rows(
        execution,
        lambda row: [row, row.model_copy(update=end)] if row.kind == "ended" else [row],
    )
    return execution


@MUTANTS.of("I1", "it went on after its end")
def cancelled_execution_resurrected(edit: Edit) -> str:
    execution = edit.ending(state=CANCELLED).execution
    again = {"kind": "assigned", "token": 99_999, "attempt": 2, "facts": {}}
    edit.rows(
        execution,
        lambda row: [row, row.model_copy(update=again)] if row.kind == "ended" else [row],
    )
    return execution


@MUTANTS.of("I1", "no terminal state")
def execution_stuck(edit: Edit) -> str:
    execution = edit.ending("rows").execution
    edit.rows(execution, lambda row: [] if row.kind == "ended" else [row])
    edit.change_each(
        r.Ending,
        lambda one: one.execution == execution,
        lambda one: one.model_copy(update={"state": ExecutionState.PENDING}),
    )
    edit.change_each(
        r.Books,
        lambda _: True,
        lambda one: one.model_copy(update={"completed": one.completed - 1, "active": 1}),
    )
    return execution


@MUTANTS.of("I1", "no terminal state")
def execution_left_in_doubt(edit: Edit) -> str:
    ending = edit.ending("orders")
    edit.change(ending, state=ExecutionState.IN_DOUBT)
    return ending.execution


@MUTANTS.of("I1", "an end without a reason")
def end_without_reason(edit: Edit) -> str:
    ending = edit.ending(state=CANCELLED)
    edit.change(ending, reason="")
    return ending.execution


@MUTANTS.of("I1", "nobody submitted it")
def execution_from_nowhere(edit: Edit) -> str:
    edit.twin(
        edit.ending(), execution="e-strange", idempotency_key="strange", state=CANCELLED, reason="x"
    )
    return "e-strange"


@MUTANTS.of("I1", "a refused submission is there")
def refused_submission_runs(edit: Edit) -> str:
    submit = r.Submit(process="rows", idempotency_key="refused", digest="x")
    edit.ask(submit, at_us=700_000, outcome=Outcome.REFUSED, code="overloaded")
    edit.twin(
        edit.ending(), execution="e-refused", idempotency_key="refused", state=CANCELLED, reason="x"
    )
    return "e-refused"


@MUTANTS.of("I1", "an effect of an execution that is not there")
def effect_without_a_submission(edit: Edit) -> str:
    effect = first(edit.good.each(r.EffectSeen))
    key = "e-nobody/put/d1"
    edit.add(
        r.EffectSeen,
        **{
            **effect.model_dump(exclude={"kind", "wall_ms"}),
            "origin": "e-nobody",
            "effect_key": key,
        },
    )
    return "e-nobody"


@MUTANTS.of("I1", "nobody cancelled it")
def cancelled_by_nobody(edit: Edit) -> str:
    return edit.twin(edit.ending("rows"), "e-gone")


@MUTANTS.of("I1", "nobody cancelled it")
def refused_cancel_was_done(edit: Edit) -> str:
    execution = edit.ending(state=CANCELLED).execution
    edit.refuse_cancels(execution)
    return execution


@MUTANTS.of("I1", "the answer to a key changed")
def same_key_gives_another_execution(edit: Edit) -> str:
    ending, other = edit.ending("orders"), edit.ending("rows")
    ask = edit.acknowledged(ending.idempotency_key).ask
    edit.ask(ask, at_us=800_000, outcome=Outcome.OK, execution=other.execution)
    return ending.idempotency_key


@MUTANTS.of("I1", "a key has more than one execution")
def key_with_two_executions(edit: Edit) -> str:
    return edit.twin(edit.ending(), "e-twin")


@MUTANTS.of("I1", "a key was accepted with another body")
def other_body_accepted_under_a_key(edit: Edit) -> str:
    ending = edit.ending()
    ask = edit.acknowledged(ending.idempotency_key).ask.model_copy(update={"digest": "other"})
    edit.ask(ask, at_us=800_000, outcome=Outcome.OK, execution=ending.execution)
    return ending.idempotency_key


def firing(edit: Edit) -> r.Ending:
    """The first execution of the schedule."""
    return first(told[0] for told in edit.good.endings.values() if told[0].schedule)


@MUTANTS.of("I1", "a nominal time never fired")
def nominal_time_left_out(edit: Edit) -> str:
    execution = firing(edit).execution
    edit.drop(r.Ending, lambda one: one.execution == execution)
    edit.drop(r.EffectSeen, lambda one: one.origin == execution)
    return "daily"


@MUTANTS.of("I1", "a nominal time fired twice")
def nominal_time_fired_twice(edit: Edit) -> str:
    edit.twin(
        firing(edit), execution="e-again", idempotency_key="again", state=CANCELLED, reason="x"
    )
    return "e-again"


@MUTANTS.of("I1", "it fired at no nominal time")
def schedule_fired_between_its_times(edit: Edit) -> str:
    return edit.twin(firing(edit), "e-between", idempotency_key="between", nominal_at_ms=77)


@MUTANTS.of("I1", "the books do not balance")
def conservation_broken_under_way(edit: Edit) -> str:
    books = edit.good.each(r.Books)[0].model_dump(exclude={"kind", "wall_ms", "at_us"})
    edit.add(r.Books, at_us=400_000, **{**books, "accepted": books["accepted"] + 1})
    return "n1"


@MUTANTS.of("I1", "the books differ from what is there")
def books_balance_and_are_wrong(edit: Edit) -> str:
    books = edit.good.each(r.Books)[1]
    edit.change(books, accepted=books.accepted + 1, completed=books.completed + 1)
    return books.node
