"""Cluster time in a worker: what the leader said last, carried on by this machine's own clock.

What stays true: it never goes back, and no wall clock is read.
"""

import time
from collections.abc import Callable


class ClusterClock:
    """Set by every renewal of the lease; asked by triggers."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._heard_ms = 0
        self._heard_at_s = 0.0
        self._told_ms = 0

    def hear(self, cluster_time_ms: int) -> None:
        """The leader's word. While this machine's clock was faster, the time stands still."""
        self.now_ms()
        self._heard_ms = cluster_time_ms
        self._heard_at_s = self._monotonic_s()

    def now_ms(self) -> int:
        """Milliseconds since 1970 as the cluster counts them; 0 before the first word."""
        if not self._heard_ms:
            return 0
        passed_ms = int((self._monotonic_s() - self._heard_at_s) * 1_000)
        self._told_ms = max(self._told_ms, self._heard_ms + passed_ms)
        return self._told_ms
