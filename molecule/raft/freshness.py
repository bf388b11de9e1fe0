"""How old the state of this node may be, for those who read it without asking the leader.

A leader's word tells what it knew to be committed, and how long ago a majority followed it. What
must stay true: the age is never told too small, but for the time that the word was on its way.
"""

from collections import deque
from dataclasses import dataclass, field

_KEPT_MAX = 64


@dataclass(slots=True)
class Freshness:
    """Of one replica; only its dispatch and the replica itself call it."""

    _heard: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_KEPT_MAX))
    """Commit indexes, and by when each was all that was committed; those not known as applied."""
    _as_of: float | None = None
    """Everything that was committed by then is applied here."""

    def heard(self, commit_index: int, *, as_of: float) -> None:
        """By `as_of`, no entry behind `commit_index` was committed anywhere."""
        if self._heard and self._heard[-1][0] == commit_index:
            as_of = max(as_of, self._heard.pop()[1])
        self._heard.append((commit_index, as_of))

    def age(self, now: float, applied_index: int) -> float | None:
        """Seconds; None when no leader has been heard yet."""
        while self._heard and self._heard[0][0] <= applied_index:
            _, as_of = self._heard.popleft()
            self._as_of = as_of if self._as_of is None else max(as_of, self._as_of)
        return None if self._as_of is None else max(0.0, now - self._as_of)
