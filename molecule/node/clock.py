"""The clocks of a node process: one for leases, one for cluster time.

Pure code never reads a clock; the shells of this package read these and hand the instants on.
"""

import time


def boottime_us() -> int:
    """Microseconds of CLOCK_BOOTTIME: runs while the machine sleeps, equal in all processes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's wall clock; may jump."""
    return time.time_ns() // 1_000_000


class ClusterClock:
    """Cluster time as the leader stamps it: starts at a claim, then runs with the monotonic clock.

    A wall clock that jumps on the leader moves nothing; a new leader continues from the newest
    instant in the state, or from its own wall clock when that is later.
    """

    def __init__(self) -> None:
        self._base_ms = wall_ms()
        self._base_us = boottime_us()

    def claim(self, *, state_ms: int) -> None:
        """Start counting: this node leads now, the state's newest instant is `state_ms`."""
        self._base_ms = max(state_ms, wall_ms())
        self._base_us = boottime_us()

    def now_ms(self) -> int:
        """The instant to stamp an entry with; never goes back between claims."""
        return self._base_ms + (boottime_us() - self._base_us) // 1000
