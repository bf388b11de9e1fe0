"""How long it took until the work of a fault's victims ran elsewhere.

From the timelines: whoever held an execution when a fault began, when it was taken from him, and
when the next node got it. What must stay true: only work that was taken counts, never work that
left its node by itself or came back to it.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from chaos.history import Fault, History
from chaos.records import TimelineRow

_LEFT_BY_ITSELF: Final = frozenset(
    ("waiting", "in_doubt", "held", "cancel", "released", "resolved")
)
"""Between two owners these say that the first one let it go, or that somebody else decided."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What one fault moved; the longest of all its executions. None: it moved nothing."""

    executions: int
    since_fault_ms: int | None
    since_known_ms: int | None
    """Since the cluster took the work from its node."""


@dataclass(frozen=True, slots=True)
class _Move:
    taken_from: str
    assigned_ms: int
    taken_ms: int
    began_elsewhere_ms: int


def moved(history: History) -> list[Moves]:
    """One for each fault of the history, in its order."""
    moves = sorted(
        (move for line in history.timelines.values() for move in _of(line.rows)),
        key=lambda move: move.taken_ms,
    )
    return [_by(fault, history.faults, moves) for fault in history.faults]


def _by(fault: Fault, faults: tuple[Fault, ...], moves: list[_Move]) -> Moves:
    """Those that began between this fault and the next one, as one of them alone made them."""
    began_ms = fault.began.wall_ms
    later = [other.began.wall_ms for other in faults if other.began.wall_ms > began_ms]
    first = bisect_right(moves, began_ms, key=lambda move: move.taken_ms)
    last = bisect_right(moves, min(later, default=float("inf")), key=lambda move: move.taken_ms)
    mine = [
        move
        for move in moves[first:last]
        if move.taken_from in fault.began.nodes and move.assigned_ms <= began_ms
    ]
    return Moves(
        executions=len(mine),
        since_fault_ms=max((move.began_elsewhere_ms - began_ms for move in mine), default=None),
        since_known_ms=max(
            (move.began_elsewhere_ms - move.taken_ms for move in mine), default=None
        ),
    )


def _of(rows: tuple[TimelineRow, ...]) -> Iterator[_Move]:
    places = [place for place, row in enumerate(rows) if row.kind == "assigned"]
    for before, after in pairwise(places):
        between = rows[before + 1 : after]
        taken = [row.at_ms for row in between if row.kind == "pending"]
        if not taken or _LEFT_BY_ITSELF & {row.kind for row in between}:
            continue
        if rows[before].node != rows[after].node:
            yield _Move(rows[before].node, rows[before].at_ms, taken[-1], rows[after].at_ms)
