"""Faults as plain values, and plans of them drawn from a seed.

Doing them to a world is left to `strikes.py`. What must stay true: a plan is a list of values that
do not depend on each other, so that a minimiser can drop them one by one.
"""

import enum
import random
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """What can go wrong; the names appear in fault lists."""

    KILL = "kill"
    KILL_IN_WRITE = "kill_in_write"
    POWER_LOSS = "power_loss"
    POWER_LOSS_MANY = "power_loss_many"
    PAUSE = "pause"
    PAUSE_MANY = "pause_many"
    ISOLATE = "isolate"
    HALVES = "halves"
    BRIDGE = "bridge"
    ONE_WAY = "one_way"
    FLAP = "flap"
    RESET = "reset"
    HELD_WORDS = "held_words"
    SLOW_LINK = "slow_link"
    SLOW_DISK = "slow_disk"
    SYNC_ERROR = "sync_error"
    DISK_FULL = "disk_full"
    FLIPPED_BYTE = "flipped_byte"
    DRIFT = "drift"


# How a member is chosen when the fault strikes.
_TARGETS = ("leader", "leader", "follower", "any")
# How long a fault lasts, in mean gaps between faults.
_DURATIONS = (0.1, 0.3, 0.5, 1.0, 1.0, 2.0, 4.0, 10.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault; `salt` decides all that is left to chance when it strikes."""

    at_s: float
    kind: FaultKind
    target: str
    seconds: float
    salt: int

    def __str__(self) -> str:
        return (
            f"{self.at_s:8.3f} s  {self.kind.value:<15} {self.target:<9} "
            f"for {self.seconds:.2f} s (salt {self.salt})"
        )


def plan(
    rng: random.Random, kinds: tuple[FaultKind, ...], count: int, every_s: float
) -> tuple[Fault, ...]:
    """`count` faults of the given kinds, one every `every_s` on average, often in clusters."""
    faults = []
    at_s = 1.0
    for _ in range(count):
        at_s += every_s * (rng.expovariate(1.0) if rng.random() < 0.8 else 0.02)
        faults.append(
            Fault(
                at_s=round(at_s, 4),
                kind=rng.choice(kinds),
                target=rng.choice(_TARGETS),
                seconds=round(every_s * rng.choice(_DURATIONS) * (0.5 + rng.random()), 3),
                salt=rng.randrange(1 << 30),
            )
        )
    return tuple(faults)
