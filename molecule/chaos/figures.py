"""What a history came to, in numbers: `report.json`, and what the page draws.

Computed from the history alone, so that anybody can do it again.
"""

from collections import Counter
from typing import Any, Final

from molecule.chaos import judge
from molecule.chaos.history import History, Struck
from molecule.chaos.records import Ending, Outcome, Phase

_SECOND_US: Final = 1_000_000


def figures(history: History) -> dict[str, Any]:
    """All of them, as plain JSON-able values."""
    header = history.header
    judgement = judge.judge(history)
    outcomes = Counter(one.outcome.value for one in history.operations)
    states = {one.execution: one.state for one in history.each(Ending) if one.state}
    return {
        "verdict": judgement.verdict.value,
        "violations": list(judgement.violations),
        "lacks": list(judgement.lacks),
        "seed": header.seed,
        "software": header.software,
        "cluster": header.cluster,
        "nodes": list(header.nodes),
        "voters": list(header.voters),
        "process": header.process,
        "environment": header.environment,
        "minutes": header.minutes,
        "kinds": list(header.faults),
        "began_wall_ms": header.wall_ms,
        "lasted_ms": history.records[-1].at_us // 1000,
        "acknowledged": len(history.acknowledged),
        "answers": {outcome.value: outcomes[outcome.value] for outcome in Outcome},
        "ended": dict(sorted(Counter(state.value for state in states.values()).items())),
        "faults": [_fault(history, fault) for fault in history.faults],
        **_course(history),
    }


def _fault(history: History, fault: Struck) -> dict[str, Any]:
    ended = fault.ended
    return {
        "fault": fault.began.fault,
        "kind": fault.began.fault_kind,
        "aim": fault.began.aim,
        "nodes": list(fault.began.nodes),
        "means": fault.began.means,
        "began_ms": fault.began.at_us // 1000,
        "ended_ms": ended.at_us // 1000 if ended is not None else None,
        "confirmed": fault.is_confirmed,
        "evidence": dict(fault.confirmed.evidence) if fault.confirmed is not None else {},
        "why_not": fault.unconfirmed.why if fault.unconfirmed is not None else "",
        "healed": ended is not None and ended.healed,
        "outage_ms": judge.outage_ms(history, fault),
    }


def _course(history: History) -> dict[str, Any]:
    """Second by second: accepted and unknown answers; phases as they came."""
    accepted = Counter(at_us // _SECOND_US for at_us in history.accepted_at_us)
    unknown = Counter(
        (one.answered.at_us if one.answered else one.invoked.at_us) // _SECOND_US
        for one in history.operations
        if one.outcome is Outcome.UNKNOWN
    )
    final = history.phase(Phase.FINAL)
    end_us = history.records[-1].at_us if final is None else final.at_us
    seconds = range(end_us // _SECOND_US + 1)
    return {
        "accepted_per_s": [accepted[second] for second in seconds],
        "unknown_per_s": [unknown[second] for second in seconds],
        "phases": {
            phase.value: began.at_us // 1000
            for phase in Phase
            if (began := history.phase(phase)) is not None
        },
    }
