"""The minimiser keeps what is needed and drops the rest."""

import random
from dataclasses import replace

from tests.simulation.faults import Fault, FaultKind, plan
from tests.simulation.invariants import Violation
from tests.simulation.minimise import minimise
from tests.simulation.setups import Setup
from tests.simulation.world import Report

BROKEN = Violation("planted", 100.0, "")


def _report(faults: tuple[Fault, ...], *, broken: Violation | None) -> Report:
    return replace(_CALM, plan=faults, violation=broken)


_CALM = Setup(voters=1, faults=0).run(1)


def test_minimise_keeps_the_two_faults_that_break_it_together() -> None:
    faults = plan(random.Random(1), tuple(FaultKind), 40, 0.5)
    needed = {faults[7], faults[31]}

    def run(fewer: tuple[Fault, ...]) -> Report:
        return _report(fewer, broken=BROKEN if needed <= set(fewer) else None)

    assert minimise(run(faults), run) == (faults[7], faults[31])


def test_minimise_does_not_follow_another_violation() -> None:
    faults = plan(random.Random(1), tuple(FaultKind), 8, 0.5)

    def run(fewer: tuple[Fault, ...]) -> Report:
        if len(fewer) == len(faults):
            return _report(fewer, broken=BROKEN)
        return _report(fewer, broken=replace(BROKEN, invariant="another"))

    assert minimise(run(faults), run) == faults


def test_minimise_of_a_run_without_violation_changes_nothing() -> None:
    faults = plan(random.Random(1), tuple(FaultKind), 8, 0.5)
    report = _report(faults, broken=None)

    assert minimise(report, lambda _: report) == faults
