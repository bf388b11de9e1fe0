"""The clocks of a node process: one for leases, one for cluster time.

Pure code never reads a clock; the shells of this package read these and hand the instants on.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

_BEGINNING_US: Final = 1_000_000
"""Behind the first majority, so that the clocks heard next still count."""
_FRESH_US: Final = 5_000_000


def boottime_us() -> int:
    """Microseconds of CLOCK_BOOTTIME: runs while the machine sleeps, equal in all processes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's wall clock; may jump."""
    return time.time_ns() // 1_000_000


def wall_off_by(offset_ms: int) -> Callable[[], int]:
    """A wall clock that is off by this much, to see what a cluster makes of it."""
    return lambda: wall_ms() + offset_ms


class ClusterClock:
    """Cluster time as the leader stamps it: never goes back, 0.5 to 1.5 times as fast as our clock.

    It moves towards the median of the voters' wall clocks, in any case to where a majority is.
    Waits before `verify`, deadlines and the time for which keys are remembered are counted in it,
    so the one wall clock of whoever is elected next must not end them. Only a leader that never
    heard the one before it may begin at once where a majority is: after a stop of all nobody's
    monotonic clock knows how long it lasted.
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
        self._ahead_us: dict[str, tuple[int, int]] = {}
        """By voter: its wall clock less our monotonic one, and when that was heard."""
        # What is stamped before the first claim moves nothing: the state keeps its newest instant.
        self._base_us = 0
        self._at_us = now_us()
        self._gap_us = 0
        """How far the median was from us at `_at_us`."""
        self._jumps_until_us: int | None = 0
        """May begin where a majority is until then; None: until a majority was heard."""
        self._heard: tuple[int, int] | None = None
        """The newest cluster time that a leader told this node, and when."""

    def follow(self, voters: Collection[str]) -> None:
        """These vote from now on."""
        self._voters = frozenset(voters)
        for gone in [node for node in self._ahead_us if node not in self._voters]:
            del self._ahead_us[gone]

    def heed(self, cluster_time_ms: int, *, at_us: int) -> None:
        """A leader told the time of the cluster in a message that arrived at `at_us`."""
        if self._heard is None or cluster_time_ms * 1000 > self._heard[0]:
            self._heard = (cluster_time_ms * 1000, at_us)

    def unheard_ms(self) -> int:
        """How long no leader told this node the time; 0 when none ever did."""
        return (self._now_us() - self._heard[1]) // 1000 if self._heard is not None else 0

    def claim(self, *, state_ms: int) -> None:
        """Start counting: this node leads now, the state's newest instant is `state_ms`."""
        self._at_us = self._now_us()
        self._gap_us = 0
        self._ahead_us.clear()
        if self._heard is None:
            self._base_us = (state_ms or self._wall()) * 1000
            self._jumps_until_us = None
        else:
            told_us, at_us = self._heard
            self._base_us = max(state_ms * 1000, told_us + self._at_us - at_us)
            self._jumps_until_us = 0

    def hear(self, node: str, *, wall_clock_ms: int, at_us: int) -> None:
        """A node's wall clock, as a message that arrived at `at_us` told it."""
        if node not in self._voters:
            return
        self._ahead_us[node] = (wall_clock_ms * 1000 - at_us, at_us)
        median_us = self._median_us()
        if median_us is None:
            return
        now_us = self._now_us()
        if self._jumps_until_us is None:
            self._jumps_until_us = now_us + _BEGINNING_US
        so_far_us = self._told_us(now_us)
        agreed_us = median_us + now_us
        if now_us < self._jumps_until_us:
            so_far_us = max(so_far_us, agreed_us)
        self._base_us, self._at_us = so_far_us, now_us
        self._gap_us = agreed_us - so_far_us

    def offsets_ms(self) -> dict[str, int]:
        """How far each voter heard of late is from the median; empty while no majority was heard.

        Whatever the clocks say that were not heard: while the median may be anywhere between two
        clocks, neither of them is off.
        """
        least_us, most_us = self._median_us(), self._median_us(at_most=True)
        if least_us is None or most_us is None:
            return {}
        since_us = self._now_us() - _FRESH_US
        return {
            node: (ahead_us - max(least_us, min(ahead_us, most_us))) // 1000
            for node, (ahead_us, at_us) in self._ahead_us.items()
            if at_us >= since_us
        }

    def now_ms(self) -> int:
        """The instant to stamp an entry with; never goes back between claims."""
        return self._told_us(self._now_us()) // 1000

    def _median_us(self, *, at_most: bool = False) -> int | None:
        """Where a majority of the voters is at least, or at most; None: no majority was heard."""
        ahead_us = (ahead_us for ahead_us, _ in self._ahead_us.values())
        heard = sorted(ahead_us, reverse=not at_most)
        majority = len(self._voters) // 2 + 1
        return heard[majority - 1] if len(heard) >= majority else None

    def _told_us(self, now_us: int) -> int:
        elapsed_us = now_us - self._at_us
        most_us = elapsed_us // 2
        return self._base_us + elapsed_us + max(-most_us, min(self._gap_us, most_us))
