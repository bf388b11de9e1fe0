"""The shortest fault list that still breaks the same invariant.

Runs are repeated with ever fewer faults; nothing else of the run changes. What must stay true: the
list returned was run and did break it.
"""

from collections.abc import Callable

from tests.simulation.faults import Fault
from tests.simulation.world import Report

_RUNS_MAX = 120


def minimise(
    report: Report,
    run: Callable[[tuple[Fault, ...]], Report],
    *,
    runs_max: int = _RUNS_MAX,
) -> tuple[Fault, ...]:
    """Drop faults in halves, quarters and one by one while the invariant still breaks."""
    violation = report.violation
    if violation is None:
        return report.plan

    def breaks(faults: tuple[Fault, ...]) -> bool:
        again = run(faults).violation
        return again is not None and again.invariant == violation.invariant

    faults = report.plan
    runs = 0
    struck = tuple(fault for fault in faults if fault.at_s <= violation.at_s)
    if len(struck) < len(faults):
        runs += 1
        faults = struck if breaks(struck) else faults
    size = max(1, len(faults) // 2)
    while faults and runs < runs_max:
        place, dropped = 0, False
        while place < len(faults) and runs < runs_max:
            fewer = faults[:place] + faults[place + size :]
            runs += 1
            if breaks(fewer):
                faults, dropped = fewer, True
            else:
                place += size
        if size == 1 and not dropped:
            break
        size = max(1, size // 2)
    return faults
