"""The figures of one run: what was shown, each fault with what it cost, seconds of its course.

Computed from a history and its verdict alone, as plain values that JSON takes. Instants are
milliseconds since the run began.
"""

import itertools
import platform
from bisect import bisect_left, bisect_right
from collections import Counter
from statistics import median
from typing import Any, Final

from chaos.history import Fault, History
from chaos.records import Led, Outcome, Phase
from chaos.report.moving import moved
from chaos.verdict import Verdict
from molecule import __version__

_BEHIND_MS: Final = 3_000
"""So long behind the end of a fault silence still counts as its outage, unless another begins."""
_SECOND_MS: Final = 1_000
COSTS: Final = ("outage_ms", "new_leader_ms", "moved_ms", "placed_ms")
"""What a fault is said to have cost, in this order."""


def of(history: History, verdict: Verdict, trouble: tuple[str, ...] = ()) -> dict[str, Any]:
    """All figures of a run."""
    header = history.header
    faults = [_fault(history, fault) for fault in history.faults]
    for fault, cost in zip(faults, moved(history), strict=True):
        fault["moved"] = cost.executions
        fault["moved_ms"] = cost.since_fault_ms
        fault["placed_ms"] = cost.since_known_ms
    for fault in faults:
        fault["is_alone"] = not any(_meet(fault, other) for other in faults if other is not fault)
    return {
        "passed": verdict.has_passed and not trouble,
        "seed": header.seed,
        "commit": header.commit,
        "software": __version__,
        "python": platform.python_version(),
        "voters": len(header.nodes),
        "workload": header.workload,
        "began_wall_ms": header.wall_ms,
        "lasted_ms": _ms(history.records[-1].at_us),
        "counts": verdict.counts,
        "demands": header.demands.model_dump(),
        "violations": [str(one) for one in verdict.violations],
        "lacks": [str(one) for one in verdict.lacks],
        "trouble": list(trouble),
        "kinds": _kinds(faults),
        "faults": faults,
        "course": _course(history),
    }


def _ms(at_us: int) -> int:
    return at_us // 1000


def _fault(history: History, fault: Fault) -> dict[str, Any]:
    """One fault: what shows that it worked, and what it cost. None: cannot be told."""
    began_ms = _ms(fault.began.at_us)
    ended_ms = None if fault.ended is None else _ms(fault.ended.at_us)
    evidence = {} if fault.confirmed is None else dict(fault.confirmed.evidence)
    return {
        "number": fault.began.fault,
        "kind": fault.began.fault_kind,
        "aim": str(evidence.pop("aim", "")),
        "nodes": list(fault.began.nodes),
        "began_ms": began_ms,
        "lasted_ms": None if ended_ms is None else ended_ms - began_ms,
        "evidence": evidence,
        "is_confirmed": fault.confirmed is not None,
        "outage_ms": None if ended_ms is None else _outage(history, began_ms, ended_ms),
        "new_leader_ms": _new_leader(history, fault),
    }


def _meet(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two faults were there at the same time; one without an end lasts for ever."""
    ends = [
        float("inf") if each["lasted_ms"] is None else each["began_ms"] + each["lasted_ms"]
        for each in (one, other)
    ]
    return bool(max(one["began_ms"], other["began_ms"]) <= min(ends))


def _accepted(history: History) -> list[int]:
    """When submissions were answered as accepted, in order."""
    return sorted(
        _ms(operation.answered.at_us) for _, operation in history.submissions if operation.is_ok
    )


def _outage(history: History, began_ms: int, ended_ms: int) -> int:
    """The longest time around a fault in which nothing was accepted, of all that was asked for."""
    accepted = _accepted(history)
    others = (_ms(fault.began.at_us) for fault in history.faults)
    until_ms = min([ended_ms + _BEHIND_MS, *(other for other in others if other > began_ms)])
    first = max(0, bisect_left(accepted, began_ms) - 1)
    last = bisect_right(accepted, until_ms)
    # Silence that goes on behind the last instant is the next fault's, or nobody's.
    around = [*accepted[first:last], until_ms]
    gaps = (later - earlier for earlier, later in itertools.pairwise(around))
    return max(gaps, default=0)


def _new_leader(history: History, fault: Fault) -> int | None:
    """From the fault to the leadership of somebody else, when the leader was its victim."""
    if not fault.began.unseats:
        return None
    for led in history.each(Led):
        if led.at_us >= fault.began.at_us and led.node not in fault.began.nodes:
            return _ms(led.at_us - fault.began.at_us)
    return None


def _kinds(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By kind and aim: how many, and the median and the largest of what they cost alone."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for fault in faults:
        groups.setdefault((fault["kind"], fault["aim"]), []).append(fault)
    return [
        {
            "kind": kind,
            "aim": aim,
            "count": len(group),
            "confirmed": sum(fault["is_confirmed"] for fault in group),
            **{
                name: _spread([fault[name] for fault in group if fault["is_alone"]])
                for name in COSTS
            },
        }
        for (kind, aim), group in sorted(groups.items())
    ]


def _spread(values: list[int | None]) -> dict[str, Any] | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return {"median": round(median(known)), "largest": known[-1], "all": known}


def _course(history: History) -> dict[str, Any]:
    """Second by second: accepted and unknown answers; leaders and phases as they came."""
    accepted: Counter[int] = Counter()
    unknown: Counter[int] = Counter()
    for operation in history.operations:
        second = _ms(operation.answered.at_us) // _SECOND_MS
        unknown[second] += operation.answered.outcome is Outcome.UNKNOWN
    for at_ms in _accepted(history):
        accepted[at_ms // _SECOND_MS] += 1
    final = history.phase(Phase.FINAL)
    end_us = history.records[-1].at_us if final is None else final.at_us
    seconds = range(_ms(end_us) // _SECOND_MS + 1)
    return {
        "accepted_per_s": [accepted[second] for second in seconds],
        "unknown_per_s": [unknown[second] for second in seconds],
        "leaders": [
            {"at_ms": _ms(led.at_us), "node": led.node, "epoch": led.epoch}
            for led in history.each(Led)
        ],
        "phases": {
            phase.value: _ms(began.at_us)
            for phase in Phase
            if (began := history.phase(phase)) is not None
        },
    }
