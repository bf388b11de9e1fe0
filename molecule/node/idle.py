"""How much less often a node speaks and looks while it has nothing to do. Pure."""

from typing import Final

LESS_OFTEN: Final = 2
_BEATS_PER_LEASE: Final = 5


def beat_every_s(heartbeat_s: float, *, lease_us: int, is_idle: bool) -> float:
    """How long until the next heartbeat; longer on an idle node, if a lease outlasts several."""
    if not is_idle:
        return heartbeat_s
    lasting_s = lease_us / 1_000_000 / _BEATS_PER_LEASE
    return max(heartbeat_s, min(heartbeat_s * LESS_OFTEN, lasting_s))
