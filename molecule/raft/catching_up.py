"""How far each learner is: whether it keeps pace with the leader's log and answers in time.

The leader sets a learner the end of its log as a goal, again and again. One that reached the last
goal within an election timeout would not hold up commits as a voter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LearnerProgress:
    """One learner as its leader sees it."""

    node: str
    match_index: int
    last_index: int
    """The end of the leader's log."""
    answers_in_time: bool
    """It has the log and keeps pace: it may become a voter."""
    needs_snapshot: bool


@dataclass(frozen=True, slots=True)
class _Goal:
    index: int
    since: float


@dataclass(slots=True)
class CatchingUp:
    """Goals of one leadership."""

    within: float
    """Seconds in which a goal must be reached."""
    _goals: dict[str, _Goal] = field(default_factory=dict)
    _took: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """An election was won: nothing is known of anybody."""
        self._goals.clear()
        self._took.clear()

    def round(
        self, now: float, learners: Iterable[str], match: Callable[[str], int], last_index: int
    ) -> None:
        """See who reached the goal, and set the next one."""
        present = set(learners)
        for gone in self._goals.keys() - present:
            del self._goals[gone]
            self._took.pop(gone, None)
        for learner in sorted(present):
            goal = self._goals.get(learner)
            if goal is None:
                self._goals[learner] = _Goal(last_index, now)
            elif match(learner) >= goal.index:
                self._took[learner] = now - goal.since
                self._goals[learner] = _Goal(last_index, now)

    def keeps_pace(self, now: float, learner: str) -> bool:
        """The last goal was reached in time, and the present one is not overdue."""
        goal, took = self._goals.get(learner), self._took.get(learner)
        if goal is None or took is None:
            return False
        return took <= self.within and now - goal.since <= self.within
