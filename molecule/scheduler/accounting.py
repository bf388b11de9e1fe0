"""Where the time of an execution went, from the lines of its timeline.

Pure arithmetic on committed lines; nothing here decides. What stays true: the parts add up to the
time from acceptance to the end, or to the instant the answer is for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Line = Mapping[str, Any]
"""A line of a timeline as surfaces get it: its place in the log, kind, holder and facts."""

QUEUED: Final = "queued"
RUNNING: Final = "running"
WAITING: Final = "waiting"
PARKED: Final = "parked"

_BEGINS: Final[Mapping[str, str]] = {
    "accepted": QUEUED,
    "pending": QUEUED,
    "assigned": RUNNING,
    "waiting": WAITING,
    "in_doubt": PARKED,
    "quarantined": PARKED,
    "held": PARKED,
    "compensation_failed": PARKED,
    "ended": "",
}
"""Which part begins with a line; every other kind changes none."""


@dataclass(slots=True)
class Account:
    """Milliseconds by part, and the longest stretch of each; only `account` fills it."""

    parts: dict[str, int] = field(default_factory=dict)
    longest: dict[str, tuple[int, Line]] = field(default_factory=dict)
    steps_ms: int = 0
    """Of the time running: what ended steps took, as their workers told."""
    slowest: Line | None = None
    retries: int = 0

    @property
    def total_ms(self) -> int:
        """All of it."""
        return sum(self.parts.values())

    def largest(self) -> str:
        """The part that took most; empty when no time passed."""
        spent = {part: ms for part, ms in self.parts.items() if ms > 0}
        return max(spent, key=lambda part: (spent[part], part)) if spent else ""


def account(lines: Iterable[Line], *, until_ms: int) -> Account:
    """Read a timeline from its beginning; what has not ended goes on until `until_ms`."""
    told = Account()
    part, since = "", None
    for line in lines:
        if line["kind"] == "step":
            _step(told, line)
        following = _BEGINS.get(line["kind"])
        if following is None:
            continue
        _close(told, part, since, at_ms=line["at_ms"])
        part, since = following, line
    _close(told, part, since, at_ms=until_ms)
    return told


def _close(told: Account, part: str, since: Line | None, *, at_ms: int) -> None:
    if not part or since is None:
        return
    spent = max(0, at_ms - since["at_ms"])
    told.parts[part] = told.parts.get(part, 0) + spent
    if part not in told.longest or spent > told.longest[part][0]:
        told.longest[part] = (spent, since)


def _step(told: Account, line: Line) -> None:
    facts = line["facts"]
    told.steps_ms += facts.get("duration_us", 0) // 1000
    told.retries += facts.get("retries", 0)
    slowest = told.slowest
    if slowest is None or facts.get("duration_us", 0) > slowest["facts"].get("duration_us", 0):
        told.slowest = line


def last(lines: Sequence[Line], *kinds: str) -> Line | None:
    """The newest line of one of these kinds."""
    return next((line for line in reversed(lines) if line["kind"] in kinds), None)
