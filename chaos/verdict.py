"""The verdict on a run: what broke, and what the run does not prove.

Every check is asked and none is left out when another one fails. A run in which too little happened
fails like one in which something broke, because it would pass whatever the product did. What must
stay true: the verdict depends on the history and nothing else, so anybody can repeat it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Final

from chaos.checks import (
    i1_kept,
    i2_steps,
    i3_effects,
    i4_tokens,
    i5_order,
    i6_raft,
    i7_registers,
    i8_recovery,
    i9_leaks,
)
from chaos.checks.i8_recovery import Recovery
from chaos.checks.violation import Violation
from chaos.history import History
from chaos.records import (
    Applied,
    Due,
    EffectSeen,
    Ending,
    FaultBegan,
    Led,
    Measured,
    Outcome,
    Phase,
    Read,
    Searched,
)
from molecule.model.execution import ExecutionState

CHECKS: Final[dict[str, Callable[[History], tuple[Violation, ...]]]] = {
    "I1": i1_kept.violations,
    "I2": i2_steps.violations,
    "I3": i3_effects.violations,
    "I4": i4_tokens.violations,
    "I5": i5_order.violations,
    "I6": i6_raft.violations,
    "I7": i7_registers.violations,
    "I8": i8_recovery.violations,
    "I9": i9_leaks.violations,
}


@dataclass(frozen=True, slots=True)
class Lack:
    """Something without which a run proves nothing, and that is not in its history."""

    rule: str
    detail: str
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f" [lines {', '.join(str(line) for line in self.lines)}]" if self.lines else ""
        return f"proves nothing: {self.rule}: {self.detail}{where}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a run. It has passed when nothing broke and nothing lacks."""

    violations: tuple[Violation, ...]
    lacks: tuple[Lack, ...]
    recoveries: tuple[Recovery, ...]
    counts: dict[str, int]

    @property
    def has_passed(self) -> bool:
        """Nothing broke, in a run that could have shown it."""
        return not self.violations and not self.lacks


def judge(history: History) -> Verdict:
    """The verdict of all checks."""
    return Verdict(
        tuple(chain.from_iterable(check(history) for check in CHECKS.values())),
        lacks(history),
        i8_recovery.recoveries(history),
        counts(history),
    )


def counts(history: History) -> dict[str, int]:
    """How much happened, under the names of the demands."""
    executions = {
        operation.answered.execution for _, operation in history.submissions if operation.is_ok
    }
    return {
        "submissions": len(executions),
        "completed": sum(
            told[0].state is ExecutionState.COMPLETED for told in history.endings.values()
        ),
        "effects": len(history.each(EffectSeen)),
        "faults": _effective(history),
        "unknown_answers": sum(
            one.answered.outcome is Outcome.UNKNOWN for one in history.operations
        ),
        "moved_executions": sum(_moved(history, one) for one in history.timelines),
        "late_words": sum(
            row.kind == "refused" for one in history.timelines.values() for row in one.rows
        ),
        "register_reads": sum(
            isinstance(one.ask, Read) and one.is_ok for one in history.operations
        ),
        "ordered_executions": sum(len(turns) - 1 for turns in i5_order.lanes(history).values()),
        "firings": sum(len(due.nominal_at_ms) for due in history.each(Due)),
    }


def lacks(history: History) -> tuple[Lack, ...]:
    """Everything for which the run proves nothing."""
    return tuple(
        chain(_too_little(history), _faults(history), _phases(history), _observations(history))
    )


_WORDS: Final = {
    "submissions": "too few submissions were acknowledged",
    "completed": "too few executions completed",
    "effects": "the target was called too rarely",
    "faults": "too few faults took effect while there was work",
    "unknown_answers": "too few answers were unknown",
    "moved_executions": "too few executions moved to another node",
    "late_words": "too few late words were refused",
    "register_reads": "too few reads of registers",
    "ordered_executions": "too few executions shared a concurrency key",
    "firings": "too few nominal times fell due",
}


def _too_little(history: History) -> Iterator[Lack]:
    demanded = history.header.demands.model_dump()
    for name, number in counts(history).items():
        if number < demanded[name]:
            yield Lack(_WORDS[name], f"{number}, and {demanded[name]} are demanded")
    declared = history.header.processes
    asked = {submit.process for submit, _ in history.submissions}
    completed = {
        told[0].process
        for told in history.endings.values()
        if told[0].state is ExecutionState.COMPLETED
    }
    for rule, names in (
        ("a process is not declared", asked - declared.keys()),
        ("a declared process never completed", declared.keys() - completed),
    ):
        if names:
            yield Lack(rule, ", ".join(sorted(names)))
    shared = {key.split("/")[0] for key, turns in i5_order.lanes(history).items() if len(turns) > 1}
    for name, process in declared.items():
        if process.ordered and name not in shared:
            yield Lack("no two executions of an ordered process shared a key", name)


def _moved(history: History, execution: str) -> bool:
    nodes = [row.node for row in history.timelines[execution].rows if row.kind == "assigned"]
    return any(before != after for before, after in pairwise(nodes))


def _effective(history: History) -> int:
    """Faults that were seen to work while a request was under way or an effect arrived."""
    spans = sorted(
        [(one.invoked.at_us, one.answered.at_us) for _, one in history.submissions]
        + [(effect.at_us, effect.at_us) for effect in history.each(EffectSeen)]
    )
    begins = [began for began, _ in spans]
    # Of all work that began up to each place, the last end.
    lasts = list(accumulate((ended for _, ended in spans), max))
    count = 0
    for fault in history.faults:
        if fault.confirmed is not None and fault.ended is not None:
            place = bisect_right(begins, fault.ended.at_us)
            count += place > 0 and lasts[place - 1] >= fault.began.at_us
    return count


def _faults(history: History) -> Iterator[Lack]:
    calm = history.phase(Phase.CALM)
    for fault in history.faults:
        began = fault.began
        name = f"fault {began.fault} ({began.fault_kind})"
        if fault.confirmed is None:
            yield Lack("a fault was never seen to work", name, (began.line,))
        if fault.ended is None:
            yield Lack("a fault never ended", name, (began.line,))
        elif calm is not None and fault.ended.line > calm.line:
            yield Lack("a fault outlasts the calm", name, (calm.line, fault.ended.line))
        if began.unseats and not _unseated(history, began):
            yield Lack("the leader was the target and stayed", name, (began.line,))


def _unseated(history: History, began: FaultBegan) -> bool:
    """Somebody else led after the fault had begun, and before the next leader was a target."""
    next_us = min(
        (
            fault.began.at_us
            for fault in history.faults
            if fault.began.unseats and fault.began.at_us > began.at_us
        ),
        default=float("inf"),
    )
    return any(
        began.at_us <= led.at_us < next_us and led.node not in began.nodes
        for led in history.each(Led)
    )


def _phases(history: History) -> Iterator[Lack]:
    for phase in Phase:
        if history.phase(phase) is None:
            yield Lack("a phase is missing", phase.value)
    final = history.phase(Phase.FINAL)
    if final is None:
        return
    early = [ending.line for ending in history.each(Ending) if ending.line < final.line]
    if early:
        yield Lack("states were read before the end", f"{len(early)} of them", tuple(early[:3]))


def _observations(history: History) -> Iterator[Lack]:
    """What every check lives on was looked at."""
    nodes = set(history.header.nodes)
    without = sorted(set(history.endings) - set(history.timelines))
    if without:
        yield Lack("executions without a timeline", f"{len(without)}, such as {without[0]}")
    applied: Counter[int] = Counter()
    for index, _ in {(one.index, one.node) for one in history.each(Applied)}:
        applied[index] += 1
    if len(nodes) > 1 and max(applied.values(), default=0) < len(nodes):
        yield Lack("the nodes were never compared", "no entry was told as applied by all of them")
    if not history.each(Led):
        yield Lack("nobody told who led", "no line of any node says so")
    measured = history.each(Measured)
    for moment in ("base", "end"):
        missing = sorted(nodes - {one.node for one in measured if one.moment == moment})
        if missing:
            yield Lack("nodes were not measured", f"{moment}: {', '.join(missing)}")
    if not history.each(Searched):
        yield Lack("nothing was searched for the canary secret", "no artefact is named")
