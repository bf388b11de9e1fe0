"""What kind of run a seed stands for: which faults, which links, disks, clocks and clients.

Each seed switches fault kinds on and off, so that runs differ in kind and not only in order. Carrying them out is left
to the world. What must stay true: options are drawn from the seed alone.
"""

import random
from dataclasses import dataclass, field

from tests.simulation.clients import TrafficProfile
from tests.simulation.disk import DiskProfile, Survival
from tests.simulation.faults import FaultKind
from tests.simulation.network import NetworkProfile

VOTER_COUNTS = (1, 3, 5)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that a run does besides the order of its events."""

    voters: int
    faults: int
    kinds: tuple[FaultKind, ...]
    fault_every_s: float = 0.8
    network: NetworkProfile = field(default_factory=NetworkProfile)
    sync_min_s: float = 0.0002
    sync_max_s: float = 0.002
    drift: float = 0.0
    survivals: tuple[Survival, ...] = (Survival.PREFIX,)
    snapshot_every_s: float = 0.0
    traffic: TrafficProfile = field(default_factory=TrafficProfile)
    troubles_minority: bool = True
    checks_epoch: bool = True

    def disk_profile(self) -> DiskProfile:
        """The speed of an untroubled disk of this run."""
        return DiskProfile(self.sync_min_s, self.sync_max_s)


def draw(seed: int, voters: int, faults: int) -> Options:
    """The options of a seed."""
    rng = random.Random(f"options {seed}")
    kinds = tuple(kind for kind in FaultKind if rng.random() < 0.45)
    slow_disk = rng.random() < 0.15
    sync_max_s = 0.2 if slow_disk else rng.choice((0.001, 0.002, 0.02))
    return Options(
        voters=voters,
        faults=faults,
        kinds=kinds or (FaultKind.KILL, FaultKind.ISOLATE),
        fault_every_s=rng.choice((0.2, 0.4, 0.8, 1.6)),
        network=NetworkProfile(
            latency_s=rng.choice((0.0002, 0.001, 0.01)),
            jitter_s=rng.choice((0.0002, 0.002, 0.02)),
            bandwidth_bytes_s=rng.choice((50_000.0, 500_000.0, 10_000_000.0)),
            dead_after_s=rng.choice((1.0, 2.5, 8.0)),
        ),
        sync_min_s=sync_max_s / 4,
        sync_max_s=sync_max_s,
        drift=rng.choice((0.0, 0.01, 0.1)),
        survivals=tuple(s for s in Survival if rng.random() < 0.6) or (Survival.PREFIX,),
        snapshot_every_s=rng.choice((0.0, 0.7, 3.0)),
        traffic=TrafficProfile(
            clients=rng.choice((1, 2, 4)),
            pause_s=rng.choice((0.02, 0.1, 0.3)),
            reads=rng.choice((0.1, 0.5)),
            padding_max_bytes=rng.choice((50, 200, 5_000)),
        ),
        troubles_minority=rng.random() < 0.5,
    )
