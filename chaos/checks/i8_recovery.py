"""I8: after the last fault every node answers, the backlog drains, and work is taken again.

How long that took is recorded for each fault. Executions that are stuck by name are left to I1.
What must stay true: only submissions that were sent after a fault had ended count as its recovery.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import Phase, Probed


@dataclass(frozen=True, slots=True)
class Recovery:
    """From the end of a fault to the answer to the first accepted submission sent after it.

    None when there was none any more.
    """

    fault: int
    fault_kind: str
    line: int
    after_ms: int | None


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I8."""
    return tuple(chain(_nodes(history), _recovered(history)))


def recoveries(history: History) -> tuple[Recovery, ...]:
    """One for each fault that ended, in the order of their beginnings."""
    accepted = sorted(
        (operation.invoked.at_us, operation.answered.at_us)
        for _, operation in history.submissions
        if operation.is_ok
    )
    sent = [one for one, _ in accepted]
    # Of all that were sent from each place on, the first that was answered.
    first_told = list(accumulate(reversed([told for _, told in accepted]), min))[::-1]
    found = []
    for fault in history.faults:
        if fault.ended is None:
            continue
        end_us = fault.ended.at_us
        place = bisect_left(sent, end_us)
        first_us = first_told[place] if place < len(sent) else None
        found.append(
            Recovery(
                fault.began.fault,
                fault.began.fault_kind,
                fault.ended.line,
                None if first_us is None else (first_us - end_us) // 1000,
            )
        )
    return tuple(found)


def _nodes(history: History) -> Iterator[Violation]:
    """The last look at each node behind the last fault: it answers, and nothing waits."""
    healed = max((fault.ended.line for fault in history.faults if fault.ended), default=0)
    calm = history.phase(Phase.CALM)
    after = max(healed, calm.line if calm is not None else 0)
    last: dict[str, Probed] = {}
    for look in history.each(Probed):
        if look.line > after:
            last[look.node] = look
    for node in history.header.nodes:
        probed = last.get(node)
        if probed is None or not probed.answered:
            lines = (after,) if probed is None else (after, probed.line)
            yield Violation(
                "I8",
                "a node does not answer",
                f"{node} was {'not asked' if probed is None else 'silent'} after the last fault",
                (node,),
                sorted_lines(line for line in lines if line),
            )
        elif probed.backlog:
            yield Violation(
                "I8",
                "the backlog has not drained",
                f"{node} still has {probed.backlog} executions to do",
                (node,),
                (probed.line,),
            )


def _recovered(history: History) -> Iterator[Violation]:
    allowed_ms = history.header.bounds.recovery_ms_max
    for recovery in recoveries(history):
        what = f"fault {recovery.fault} ({recovery.fault_kind})"
        ids = (str(recovery.fault),)
        if recovery.after_ms is None:
            yield Violation("I8", "nothing was accepted after a fault", what, ids, (recovery.line,))
        elif allowed_ms is not None and recovery.after_ms > allowed_ms:
            yield Violation(
                "I8",
                "recovery took too long",
                f"{what}: {recovery.after_ms} ms, at most {allowed_ms}",
                ids,
                (recovery.line,),
            )
