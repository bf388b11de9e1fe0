"""I6: one leader per term, one vote, equal applied prefixes, a disk that holds what was promised.

Read from what nodes wrote into their logs; a line of each node is in the order in which it wrote,
and between nodes no order counts. What must stay true: after a fault took a disk on purpose,
nothing that its node promised or voted before is held against it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from chaos.checks.violation import Violation, sorted_lines
from chaos.history import History
from chaos.records import Applied, Cut, Led, Promised, Restarted, Timeline, Voted, Wiped


def violations(history: History) -> tuple[Violation, ...]:
    """Everything that breaks I6."""
    return tuple(
        chain(
            _leaders(history),
            _votes(history),
            _prefixes(history),
            _timelines(history),
            _promises(history),
        )
    )


def _leaders(history: History) -> Iterator[Violation]:
    terms: dict[int, Led] = {}
    epochs: dict[int, Led] = {}
    for led in history.each(Led):
        for what, number, known in (("term", led.term, terms), ("epoch", led.epoch, epochs)):
            first = known.setdefault(number, led)
            if first.node != led.node:
                yield Violation(
                    "I6",
                    f"two leaders in one {what}",
                    f"{first.node} and {led.node} in {what} {number}",
                    (first.node, led.node),
                    sorted_lines((first.line, led.line)),
                )
    in_order = sorted(epochs.values(), key=lambda led: led.epoch)
    for earlier, later in pairwise(in_order):
        if later.term < earlier.term:
            yield Violation(
                "I6",
                "an epoch of an older term",
                f"epoch {later.epoch} in term {later.term}, epoch {earlier.epoch} in term "
                f"{earlier.term}",
                (earlier.node, later.node),
                sorted_lines((earlier.line, later.line)),
            )


def _votes(history: History) -> Iterator[Violation]:
    votes: dict[tuple[str, int], Voted] = {}
    for record in history.records:
        if isinstance(record, Wiped):
            votes = {key: vote for key, vote in votes.items() if key[0] != record.node}
        elif isinstance(record, Voted):
            first = votes.setdefault((record.node, record.term), record)
            if first.candidate != record.candidate:
                yield Violation(
                    "I6",
                    "two votes in one term",
                    f"{record.node} voted for {first.candidate} and for {record.candidate} in "
                    f"term {record.term}",
                    (record.node,),
                    sorted_lines((first.line, record.line)),
                )


def _prefixes(history: History) -> Iterator[Violation]:
    """Whoever applied an index has applied the same before it, for its hash covers all of it."""
    digests: dict[int, Applied] = {}
    for applied in history.each(Applied):
        first = digests.setdefault(applied.index, applied)
        if first.digest != applied.digest:
            yield Violation(
                "I6",
                "applied prefixes differ",
                f"{first.node} and {applied.node} after entry {applied.index}",
                (first.node, applied.node),
                sorted_lines((first.line, applied.line)),
            )


def _timelines(history: History) -> Iterator[Violation]:
    """Every node tells the same story of an execution when all is quiet."""
    for timeline in history.each(Timeline):
        first = history.timelines[timeline.execution]
        if first.rows != timeline.rows:
            yield Violation(
                "I6",
                "timelines differ",
                f"{first.node} and {timeline.node} tell of {timeline.execution}",
                (timeline.execution, first.node, timeline.node),
                sorted_lines((first.line, timeline.line)),
            )


@dataclass(slots=True)
class _Disk:
    """What a node has said of its log: the furthest index that it promised and that it applied.

    Changed by `_promises` alone, which goes through the lines of the node.
    """

    promised: int = 0
    applied: int = 0
    line: int = 0

    def holds(self) -> int:
        """The index up to which its log has to reach."""
        return max(self.promised, self.applied)


def _promises(history: History) -> Iterator[Violation]:
    """What a node said to hold is there when it comes up again, unless a leader took it away."""
    disks: dict[str, _Disk] = defaultdict(_Disk)
    for record in history.records:
        match record:
            case Wiped(node=node):
                disks[node] = _Disk()
            case Promised(node=node, index=index):
                disk = disks[node]
                if index > disk.holds():
                    disk.line = record.line
                disk.promised = max(disk.promised, index)
            case Applied(node=node, index=index):
                disk = disks[node]
                if index > disk.holds():
                    disk.line = record.line
                disk.applied = max(disk.applied, index)
            case Cut(node=node, index=index):
                disk = disks[node]
                disk.promised = min(disk.promised, index - 1)
                if index <= disk.applied:
                    detail = f"{node} cut {index} and had applied {disk.applied}"
                    yield _on_disk("an applied entry was cut", node, detail, disk, record.line)
            case Restarted(node=node, index=index):
                disk = disks[node]
                if index < disk.holds():
                    detail = f"{node} told of {disk.holds()} and came up with {index}"
                    yield _on_disk("durable is less than promised", node, detail, disk, record.line)
            case _:
                pass


def _on_disk(rule: str, node: str, detail: str, disk: _Disk, line: int) -> Violation:
    return Violation("I6", rule, detail, (node,), sorted_lines((disk.line, line)))
