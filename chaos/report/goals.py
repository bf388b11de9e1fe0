"""What the execution contract wants of recovery, by fault and victim.

`docs/execution-contract.md` has the table. What must stay true: a goal stands only beside faults
that its sentence speaks of; with fewer than a hundred of them the longest stands for 99 of 100.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

_KILLS: Final = frozenset(("kill", "kill_node_process"))
_SILENCES: Final = frozenset(("freeze", "freeze_node_process", "isolate", "long_freeze"))
_LEADER: Final = "leader"
_FOLLOWERS: Final = frozenset(("busy follower", "idle follower"))


@dataclass(frozen=True, slots=True)
class Goal:
    """Limits in milliseconds; no limit of the median where only the longest has one."""

    longest_ms: int
    median_ms: int | None = None

    def is_met(self, values_ms: Sequence[int]) -> bool:
        """By these measurements, one or more."""
        if self.median_ms is not None and median(values_ms) >= self.median_ms:
            return False
        return max(values_ms) < self.longest_ms

    def __str__(self) -> str:
        longest = f"{self.longest_ms:,} ms"
        return longest if self.median_ms is None else f"{self.median_ms:,} / {longest}"


def of_outage(kind: str, aim: str) -> Goal | None:
    """Until the next submission is accepted, whoever led being the victim."""
    if aim != _LEADER:
        return None
    if kind in _KILLS:
        return Goal(1_000, 300)
    return Goal(2_000) if kind in _SILENCES else None


def of_work(kind: str, aim: str) -> Goal | None:
    """From the fault until the work of its victim runs elsewhere."""
    if kind not in _SILENCES:
        return None
    if aim == _LEADER:
        return Goal(5_500)
    return Goal(4_000) if aim in _FOLLOWERS else None


def of_known_work(kind: str, aim: str) -> Goal | None:
    """From when the cluster took the work from a dead node until it runs elsewhere."""
    if kind in _KILLS and (aim == _LEADER or aim in _FOLLOWERS):
        return Goal(2_000, 500)
    return None
