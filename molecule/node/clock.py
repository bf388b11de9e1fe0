"""The clocks of a node process: one for leases, one for cluster time.

Pure code never reads a clock; the shells of this package read these and hand the instants on.
"""

import time
from collections.abc import Callable, Collection


def boottime_us() -> int:
    """Microseconds of CLOCK_BOOTTIME: runs while the machine sleeps, equal in all processes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's wall clock; may jump."""
    return time.time_ns() // 1_000_000


class ClusterClock:
    """Cluster time as the leader stamps it: never goes back, runs with the monotonic clock.

    It moves ahead of that only to where a majority of the voters' wall clocks are. Waits before
    `verify`, deadlines and the time for which keys are remembered are counted in it, so the one
    wall clock of whoever is elected next must not end them.
    """

    def __init__(
        self,
        voters: Collection[str],
        *,
        now_us: Callable[[], int] = boottime_us,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self._voters = frozenset(voters)
        self._now_us = now_us
        self._wall = wall
        self._ahead_ms: dict[str, int] = {}
        """By voter: its wall clock less our monotonic one."""
        # What is stamped before the first claim moves nothing: the state keeps its newest instant.
        self._base_ms = 0
        self._base_us = now_us()

    def follow(self, voters: Collection[str]) -> None:
        """These vote from now on."""
        self._voters = frozenset(voters)
        for gone in [node for node in self._ahead_ms if node not in self._voters]:
            del self._ahead_ms[gone]

    def claim(self, *, state_ms: int) -> None:
        """Start counting: this node leads now, the state's newest instant is `state_ms`."""
        self._base_ms = state_ms or self._wall()
        self._base_us = self._now_us()
        self._ahead_ms.clear()

    def hear(self, node: str, *, wall_clock_ms: int, at_us: int) -> None:
        """A node's wall clock, as a message that arrived at `at_us` told it."""
        if node not in self._voters:
            return
        self._ahead_ms[node] = wall_clock_ms - at_us // 1000
        heard = sorted(self._ahead_ms.values(), reverse=True)
        majority = len(self._voters) // 2 + 1
        if len(heard) < majority:
            return
        now_us = self._now_us()
        agreed_ms = heard[majority - 1] + now_us // 1000
        if agreed_ms > self.now_ms():
            self._base_ms, self._base_us = agreed_ms, now_us

    def now_ms(self) -> int:
        """The instant to stamp an entry with; never goes back between claims."""
        return self._base_ms + (self._now_us() - self._base_us) // 1000
