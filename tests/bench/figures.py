"""Figures: what was measured in each run, and the goal beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done: short loads for a comparison, deaths of each kind, depth of the backlog."""

    is_quick: bool
    kills: int
    pending: int


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached. `at_least` for rates, otherwise at most."""

    workload: str
    name: str
    unit: str
    value: float | None = None
    """For the median."""
    at_least: bool = False
    worst: float | None = None
    """For the maximum."""

    def met_by(self, runs: Sequence[float]) -> bool | None:
        """None when there is no goal."""
        if self.value is None and self.worst is None:
            return None
        middle, bound = median(runs), self.value
        if bound is not None and (middle < bound if self.at_least else middle > bound):
            return False
        return self.worst is None or max(runs) <= self.worst

    def text(self) -> str:
        """The goal for people."""
        told = []
        if self.value is not None:
            told.append(f"{'at least' if self.at_least else 'at most'} {self.value:,g}")
        if self.worst is not None:
            told.append(f"never over {self.worst:,g}")
        return ", ".join(told)


@dataclass(slots=True)
class Figure:
    """The runs of one goal; `median` is quoted."""

    goal: Goal
    runs: list[float] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    """Beside each run: load average, CPU by role and the like."""

    @property
    def quoted(self) -> float:
        """The median of the runs."""
        return median(self.runs)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        goal = self.goal
        return {
            "workload": goal.workload,
            "name": goal.name,
            "unit": goal.unit,
            "goal": goal.text(),
            "median": rounded(self.quoted),
            "minimum": rounded(min(self.runs)),
            "maximum": rounded(max(self.runs)),
            "runs": [rounded(run) for run in self.runs],
            "met": goal.met_by(self.runs),
            "notes": self.notes,
        }


class Figures:
    """All figures of a run of the bench, in the order in which they were first noted."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kept: dict[str, Figure] = {}

    def note(self, goal: Goal, value: float, **beside: Any) -> None:
        """One more run of a figure."""
        figure = self._kept.setdefault(f"{goal.workload} {goal.name}", Figure(goal))
        figure.runs.append(value)
        if beside:
            figure.notes.append(beside)
        told = ", ".join(f"{name} {each}" for name, each in beside.items())
        self._say(f"{goal.workload} {goal.name}: {rounded(value):,} {goal.unit}   {told}")

    def documents(self) -> list[dict[str, Any]]:
        """All as JSON."""
        return [figure.document() for figure in self._kept.values()]


def rounded(value: float) -> float:
    """Three digits are more than such a measurement holds."""
    if abs(value) >= 100:
        return round(value)
    return round(value, 1 if abs(value) >= 10 else 2)


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
