"""The judge of `molecule chaos`: every kind of broken promise is planted, and found."""

from collections.abc import Callable
from typing import Any

import pytest

from molecule.chaos import judge
from molecule.chaos import records as r
from molecule.chaos.history import History
from molecule.chaos.judge import Verdict
from molecule.chaos.records import SIDES, Outcome, Record
from molecule.cluster import views
from molecule.cluster.state import ClusterState
from molecule.model.execution import ExecutionState
from tests.unit.staging.histories import Story, also, begin, changed, finish, good, strike

Change = Callable[[Record], Record | None]


def put(kind: type[Record], where: dict[str, Any], **fields: Any) -> Change:
    """Change the records of a kind whose fields are these."""

    def change(record: Record) -> Record | None:
        is_meant = isinstance(record, kind) and all(
            getattr(record, name) == value for name, value in where.items()
        )
        return record.model_copy(update=fields) if is_meant else record

    return change


def without(kind: type[Record], **where: Any) -> Change:
    """Leave the records of a kind out whose fields are these."""

    def change(record: Record) -> Record | None:
        is_meant = isinstance(record, kind) and all(
            getattr(record, name) == value for name, value in where.items()
        )
        return None if is_meant else record

    return change


def test_a_good_history_is_kept() -> None:
    found = judge.judge(changed(lambda record: record))

    assert found == judge.Judgement((), ())
    assert found.verdict is Verdict.KEPT


def test_the_sides_of_the_law_are_those_of_the_cluster() -> None:
    law = views.conservation(ClusterState())

    assert set(law) == {"accepted", *SIDES}
    assert set(law) <= set(r.Books.model_fields)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put(r.Ending, {"execution": "e-k1", "url": "https://b"}, state=None), "is not known at"),
        (without(r.Ending, execution="e-k1", url="https://b"), "is not known at https://b"),
        (put(r.Ending, {"execution": "e-k1"}, state=ExecutionState.ASSIGNED), "e-k1 is stuck"),
        (
            put(
                r.Ending, {"execution": "e-k1", "url": "https://b"}, state=ExecutionState.CANCELLED
            ),
            "ended in more than one state: CANCELLED, COMPLETED",
        ),
        (put(r.KeyRead, {"idempotency_key": "k1"}, executions=("e-k1", "e2")), "more than one"),
        (put(r.KeyRead, {"idempotency_key": "k1"}, executions=()), "knows nothing of it"),
        (put(r.Answered, {"operation": 7}, outcome=Outcome.REFUSED), "k6 was refused, and e-k6"),
        (put(r.Books, {"url": "https://b"}, completed=11), "1 too few"),
        (put(r.NodeSeen, {"node": "n2"}, up=False), "node n2 is down"),
        (put(r.Probed, {"url": "https://b"}, answered=False), "https://b does not answer"),
        (put(r.FaultEnded, {}, healed=False, why="ended at once"), "did not come back: ended"),
    ],
)
def test_a_planted_fault_is_a_broken_promise(change: Change, told: str) -> None:
    found = judge.judge(changed(change))

    assert any(told in text for text in found.violations), found
    assert found.verdict is Verdict.BROKEN


def test_a_key_with_two_answers_is_a_broken_promise() -> None:
    story = Story()
    begin(story)
    strike(story)
    story.submit("k0", execution="e-other")
    finish(story)

    assert "the answer to key k0 changed: e-k0, e-other" in judge.judge(story.close()).violations


def test_nothing_accepted_after_a_fault_is_a_broken_promise() -> None:
    story = Story()
    begin(story)
    strike(story)
    story.add(r.FaultBegan, fault=2, fault_kind="kill", aim="", nodes=("n2",), means="processes")
    story.add(r.FaultConfirmed, fault=2, evidence={"processes_left": 0})
    story.add(r.FaultEnded, fault=2)
    finish(story)

    found = judge.judge(story.close())

    assert found.violations == ("nothing was accepted any more after fault 2 (kill n2)",)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (changed(without(r.FaultConfirmed)), "fault 1 (kill n1) is not confirmed"),
        (also((r.FaultUnconfirmed, {"fault": 1, "why": "awake"})), "is not confirmed: awake"),
        (also((r.Trouble, {"what": "no kill could be made"})), "no kill could be made"),
        (changed(without(r.Books, url="https://b")), "the books were not told by https://b"),
        (changed(without(r.NodeSeen, node="n2")), "told nothing of n2"),
        (changed(without(r.KeyRead, idempotency_key="k6")), "1 keys were not looked up"),
        (changed(put(r.Header, {}, faults=("kill", "freeze"))), "never made: freeze"),
        (
            changed(put(r.Ending, {"execution": "e-k1"}, state=ExecutionState.IN_DOUBT)),
            "e-k1 has not ended: it is IN_DOUBT",
        ),
        (
            changed(put(r.Ending, {"execution": "e-k1"}, state=ExecutionState.WAITING)),
            "e-k1 has not ended: it is WAITING",
        ),
    ],
)
def test_what_a_run_lacks_makes_it_prove_nothing(history: History, told: str) -> None:
    found = judge.judge(history)

    assert any(told in text for text in found.lacks), found
    assert found.verdict is Verdict.PROVES_NOTHING


def test_a_run_without_faults_or_with_little_work_proves_nothing() -> None:
    story = Story()
    begin(story)

    found = judge.judge(story.close())

    assert "no fault was made" in found.lacks
    assert "only 6 submissions were acknowledged, at least 10 must be" in found.lacks


def test_an_interrupted_and_a_killed_run_prove_nothing() -> None:
    story = Story()
    story.records = good()
    killed = History(story.records)
    interrupted = story.close(interrupted=True)

    assert judge.judge(interrupted).lacks == ("the run was interrupted",)
    assert judge.judge(killed).lacks == ("the run was killed: its history has no end",)


def test_a_hook_that_does_not_heal_is_no_promise_of_the_cluster() -> None:
    story = Story()
    begin(story)
    strike(story, means="hook")
    finish(story)
    records = [
        record.model_copy(update={"healed": False, "why": "exit code 1"})
        if isinstance(record, r.FaultEnded)
        else put(r.NodeSeen, {"node": "n1"}, up=False)(record)
        for record in story.records
    ]

    found = judge.judge(changed(lambda record: record, records=records))  # type: ignore[arg-type]

    assert found.violations == ()
    assert found.lacks == ("fault 1 (kill n1) is not healed: exit code 1",)


def test_the_outage_is_the_longest_silence_around_a_fault() -> None:
    history = changed(lambda record: record)

    # From the answer to k5, two records before the fault, to the one to k7, six behind it.
    assert judge.outage_ms(history, history.faults[0]) == 800
