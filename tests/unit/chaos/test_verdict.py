"""The verdict: what a run has to show, and that nothing which lacks is overlooked."""

from collections.abc import Callable

import pytest

from chaos import records as r
from chaos import verdict
from chaos.declared import DeclaredProcess, Demands
from chaos.history import History
from tests.unit.chaos.edits import Edit
from tests.unit.chaos.good_runs import CALM_US, FINAL_US, good

GOOD = good(3)
NAMES = tuple(Demands.model_fields)


def rules(history: History) -> set[str]:
    return {lack.rule for lack in verdict.judge(history).lacks}


def changed(change: Callable[[Edit], None]) -> History:
    edit = Edit(GOOD)
    change(edit)
    return edit.made()


def test_a_good_run_passes_and_tells_its_recoveries() -> None:
    found = verdict.judge(GOOD)
    assert found.has_passed
    assert [(one.fault, one.fault_kind) for one in found.recoveries] == [
        (1, "kill"),
        (2, "isolate"),
        (3, "freeze"),
        (4, "slow_disk"),
    ]
    assert all(one.after_ms is not None for one in found.recoveries)


def test_a_violation_or_a_lack_alone_fails_a_run() -> None:
    leaked = verdict.judge(
        changed(lambda edit: edit.change(GOOD.each(r.Searched)[0], found=("line 1",)))
    )
    assert (len(leaked.violations), leaked.lacks, leaked.has_passed) == (1, (), False)
    empty = verdict.judge(changed(lambda edit: edit.drop(r.Searched)))
    assert (empty.violations, len(empty.lacks), empty.has_passed) == ((), 1, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_shows_less_than_demanded_proves_nothing(name: str) -> None:
    shown = verdict.counts(GOOD)[name]
    exactly = GOOD.header.demands.model_copy(update={name: shown})
    more = GOOD.header.demands.model_copy(update={name: shown + 1})
    assert rules(changed(lambda edit: edit.change(GOOD.header, demands=exactly))) == set()
    found = verdict.judge(changed(lambda edit: edit.change(GOOD.header, demands=more)))
    assert [lack.detail for lack in found.lacks] == [f"{shown}, and {shown + 1} are demanded"]


def test_a_run_in_which_nothing_happened_proves_nothing() -> None:
    header = GOOD.header.model_copy(update={"demands": Demands()})
    nothing = History.of([header, r.Closed(at_us=1, wall_ms=1, records=1)])
    assert rules(nothing) >= {
        "too few submissions were acknowledged",
        "too few executions completed",
        "a declared process never completed",
        "no two executions of an ordered process shared a key",
        "the target was called too rarely",
        "too few faults took effect while there was work",
        "too few answers were unknown",
        "too few executions moved to another node",
        "a phase is missing",
        "the nodes were never compared",
        "nobody told who led",
        "nodes were not measured",
        "nothing was searched for the canary secret",
    }


def without_overlap(edit: Edit) -> None:
    """All faults are made and healed before anybody asks for anything."""
    edit.change_each(r.FaultBegan, lambda _: True, lambda one: one.model_copy(update={"at_us": 4}))
    edit.change_each(
        r.FaultConfirmed, lambda _: True, lambda one: one.model_copy(update={"at_us": 5})
    )
    edit.change_each(r.FaultEnded, lambda _: True, lambda one: one.model_copy(update={"at_us": 6}))


def leader_stays(edit: Edit) -> None:
    edit.drop(r.Led, lambda one: one.node == "n2")


def fault_outlasts_the_calm(edit: Edit) -> None:
    edit.add(r.FaultBegan, at_us=CALM_US - 1, fault=9, fault_kind="kill", nodes=("n1",))
    edit.add(r.FaultConfirmed, at_us=CALM_US, fault=9, evidence={"state": "gone"})
    edit.add(r.FaultEnded, at_us=CALM_US + 1, fault=9)


def fault_never_ends(edit: Edit) -> None:
    edit.add(r.FaultBegan, at_us=1_000_000, fault=9, fault_kind="kill", nodes=("n1",))
    edit.add(r.FaultConfirmed, at_us=1_000_001, fault=9, evidence={"state": "gone"})


def states_read_early(edit: Edit) -> None:
    ending = next(iter(GOOD.endings.values()))[0]
    fields = ending.model_dump(exclude={"kind", "at_us", "wall_ms"})
    edit.add(r.Ending, at_us=FINAL_US - 1, **{**fields, "state": ending.state})


def undeclared_process(edit: Edit) -> None:
    submit = r.Submit(process="strange", idempotency_key="x", digest="x")
    edit.ask(submit, at_us=700_000, outcome=r.Outcome.UNKNOWN)


def unused_process(edit: Edit) -> None:
    processes = {**GOOD.header.processes, "unused": DeclaredProcess()}
    edit.change(GOOD.header, processes=processes)


def without_order_key(ending: r.Ending) -> r.Ending:
    return ending.model_copy(update={"order_key": ending.execution})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (without_overlap, "too few faults took effect while there was work"),
        (leader_stays, "the leader was the target and stayed"),
        (lambda edit: edit.drop(r.FaultConfirmed), "a fault was never seen to work"),
        (fault_never_ends, "a fault never ended"),
        (fault_outlasts_the_calm, "a fault outlasts the calm"),
        (lambda edit: edit.drop(r.PhaseBegan), "a phase is missing"),
        (states_read_early, "states were read before the end"),
        (unused_process, "a declared process never completed"),
        (
            lambda edit: edit.drop(r.Timeline, lambda one: one.rows[0].index % 2 == 0),
            "executions without a timeline",
        ),
        (
            lambda edit: edit.change_each(
                r.Ending, lambda one: one.order_key != "", without_order_key
            ),
            "no two executions of an ordered process shared a key",
        ),
        (undeclared_process, "a process is not declared"),
        (lambda edit: edit.drop(r.Timeline), "executions without a timeline"),
        (lambda edit: edit.drop(r.Applied), "the nodes were never compared"),
        (
            lambda edit: edit.drop(r.Applied, lambda one: one.node == "n2"),
            "the nodes were never compared",
        ),
        (lambda edit: edit.drop(r.Led), "nobody told who led"),
        (lambda edit: edit.drop(r.Measured), "nodes were not measured"),
        (
            lambda edit: edit.drop(r.Measured, lambda one: one.moment == "base"),
            "nodes were not measured",
        ),
        (lambda edit: edit.drop(r.Searched), "nothing was searched for the canary secret"),
        (lambda edit: edit.drop(r.EffectSeen), "the target was called too rarely"),
    ],
)
def test_what_lacks_is_named(change: Callable[[Edit], None], rule: str) -> None:
    assert rule in rules(changed(change))


def test_a_verdict_reads_as_text() -> None:
    edit = Edit(GOOD)
    edit.change(GOOD.each(r.Searched)[0], found=("line 1",))
    edit.drop(r.Led)
    found = verdict.judge(edit.made())
    (violation,) = found.violations
    assert str(violation).startswith("I9 the canary secret got out: log of n1: line 1 [lines ")
    assert "proves nothing: nobody told who led: no line of any node says so" in {
        str(lack) for lack in found.lacks
    }
