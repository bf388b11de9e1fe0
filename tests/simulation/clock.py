"""Virtual time: one queue of future events, and the crooked clock that each member reads.

Who does what at which instant is left to the world, the network and the faults. What must stay
true: events at the same instant run in the order in which they were put in, so that a seed replays
event for event.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass


class EventQueue:
    """Future events by instant; `now_s` is the only true time in a simulation."""

    __slots__ = ("_heap", "_sequence", "now_s")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._sequence = 0
        self.now_s = 0.0

    def at(self, when_s: float, action: Callable[..., None], *args: object) -> None:
        """Run `action(*args)` at an instant; an instant in the past means now."""
        self._sequence += 1
        instant_s = max(self.now_s, when_s)
        heapq.heappush(self._heap, (instant_s, self._sequence, action, args))

    def after(self, delay_s: float, action: Callable[..., None], *args: object) -> None:
        """Run `action(*args)` after a delay."""
        self.at(self.now_s + delay_s, action, *args)

    def run_next(self, until_s: float) -> bool:
        """Run the next event if it lies before `until_s`; otherwise move time there and say no."""
        heap = self._heap
        if not heap or heap[0][0] > until_s:
            self.now_s = max(self.now_s, until_s)
            return False
        self.now_s, _, action, args = heapq.heappop(heap)
        action(*args)
        return True


@dataclass(slots=True)
class MemberClock:
    """The monotonic clock of one machine: it starts anywhere and runs too fast or too slow.

    Changed only by `drift_to`; it never goes back, as a monotonic clock does not.
    """

    queue: EventQueue
    offset_s: float
    rate: float = 1.0
    _since_s: float = 0.0

    def now_s(self) -> float:
        """What this machine believes the time is."""
        return self.offset_s + (self.queue.now_s - self._since_s) * self.rate

    def true_s(self, local_s: float) -> float:
        """The true instant at which this clock will show `local_s`, at its present rate."""
        return self._since_s + (local_s - self.offset_s) / self.rate

    def drift_to(self, rate: float) -> None:
        """Run at another rate from now on."""
        self.offset_s = self.now_s()
        self._since_s = self.queue.now_s
        self.rate = rate
