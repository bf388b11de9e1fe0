"""What kind of run a seed stands for: which faults, which links, disks, clocks and clients.

Each seed switches fault kinds on and off, so that runs differ in kind and not only in order.
Carrying them out is left to the world. What must stay true: options are drawn from the seed alone.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.clients import TrafficProfile
from tests.simulation.disk import DiskProfile, Survival
from tests.simulation.faults import FaultKind
from tests.simulation.network import NetworkProfile

VOTER_COUNTS = (1, 3, 5)
_SAFETY_MAX_S = 40.0
_LARGE_BYTES = 20_000
_LARGE_BANDWIDTH_BYTES_S = 2_000_000.0
"""Four clients write up to 320,000 a second; a voter alone does not wait for its learners."""


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
    # Machines that may join, and how often somebody changes who belongs to the cluster.
    spares: int = 0
    changes_every_s: float = 0.0
    changes_wait: bool = True
    traffic: TrafficProfile = field(default_factory=TrafficProfile)
    troubles_minority: bool = True
    checks_epoch: bool = True
    checks_calm: bool = True
    # A member that finds one of its own invariants broken just stops; otherwise that ends the run.
    forgives: bool = False

    def disk_profile(self) -> DiskProfile:
        """The speed of an untroubled disk of this run."""
        return DiskProfile(self.sync_min_s, self.sync_max_s)


def draw(seed: int, voters: int, faults: int) -> Options:
    """The options of a seed."""
    rng = random.Random(f"options {seed}")
    kinds = tuple(kind for kind in FaultKind if rng.random() < 0.45)
    every_s = rng.choice((0.1, 0.1, 0.2, 0.2, 0.4, 0.4, 1.0))
    sync_max_s = rng.choice((0.001, 0.001, 0.002, 0.02, 0.2))
    drawn = Options(
        voters=voters,
        faults=min(faults, int(_SAFETY_MAX_S / every_s)),
        kinds=kinds or (FaultKind.KILL, FaultKind.ISOLATE),
        fault_every_s=every_s,
        network=NetworkProfile(
            latency_s=rng.choice((0.0002, 0.001, 0.01)),
            jitter_s=rng.choice((0.0002, 0.002, 0.02)),
            bandwidth_bytes_s=rng.choice((100_000.0, 500_000.0, 10_000_000.0)),
            dead_after_s=rng.choice((1.0, 2.5, 8.0)),
        ),
        sync_min_s=sync_max_s / 4,
        sync_max_s=sync_max_s,
        drift=rng.choice((0.0, 0.01, 0.1)),
        survivals=tuple(s for s in Survival if rng.random() < 0.6) or (Survival.PREFIX,),
        snapshot_every_s=rng.choice((0.0, 0.5, 3.0)),
        traffic=TrafficProfile(
            clients=rng.choice((1, 2, 4)),
            pause_s=rng.choice((0.05, 0.1, 0.3)),
            reads=rng.choice((0.1, 0.5)),
            padding_max_bytes=rng.choice((50, 200, 5_000)),
        ),
        troubles_minority=rng.random() < 0.5,
    )
    return _with_large_entries(drawn) if _has_large_entries(seed) else drawn


def _has_large_entries(seed: int) -> bool:
    """Now and then entries fill an append alone; from numbers of their own, as seeds last."""
    return random.Random(f"large entries {seed}").random() < 0.2


def _with_large_entries(options: Options) -> Options:
    """Entries that fill an append alone, on links that can carry all that is written."""
    network = options.network
    bandwidth = max(network.bandwidth_bytes_s, _LARGE_BANDWIDTH_BYTES_S)
    return replace(
        options,
        network=replace(network, bandwidth_bytes_s=bandwidth),
        traffic=replace(options.traffic, padding_max_bytes=_LARGE_BYTES),
    )


def directed(options: Options, row: int, seed: int) -> Options:
    """The same options, but bent towards the conditions under which a row's guard is needed."""
    return replace(options, **_DIRECTIONS[row](random.Random(f"directed {seed}")))


def with_changes(options: Options, seed: int) -> Options:
    """The same options, with machines that come and go."""
    rng = random.Random(f"changes {seed}")
    # A flipped byte costs a disk, and so does each voter that is replaced: one kind at a time.
    kinds = tuple(kind for kind in options.kinds if kind is not FaultKind.FLIPPED_BYTE)
    return replace(
        options,
        kinds=kinds or (FaultKind.KILL, FaultKind.ISOLATE),
        spares=rng.choice((1, 2, 3)),
        changes_every_s=rng.choice((0.1, 0.3, 1.0)),
        changes_wait=rng.random() < 0.7,
        snapshot_every_s=options.snapshot_every_s or rng.choice((3.0, 0.5)),
    )


Changes = dict[str, Any]


def _towards_lost_power(_: random.Random) -> Changes:
    """Rows 1 and 2: disks that forget."""
    return {
        "kinds": (FaultKind.POWER_LOSS, FaultKind.POWER_LOSS_MANY, FaultKind.KILL_IN_WRITE),
        "fault_every_s": 0.5,
        "survivals": (Survival.NOTHING, Survival.PREFIX),
    }


def _towards_crossing_appends(rng: random.Random) -> Changes:
    """Row 3: many appends on their way at once, of several leaders."""
    return {
        "kinds": (FaultKind.SLOW_LINK, FaultKind.ISOLATE, FaultKind.PAUSE, FaultKind.RESET),
        "network": NetworkProfile(latency_s=0.01, jitter_s=rng.choice((0.02, 0.1))),
        "traffic": TrafficProfile(clients=4, pause_s=0.02, reads=0.1),
    }


def _towards_snapshots(rng: random.Random) -> Changes:
    """Rows 4 and 10: followers and deposed leaders behind the journal, slow transfers."""
    return {
        "kinds": (
            FaultKind.ISOLATE,
            FaultKind.HALVES,
            FaultKind.KILL,
            FaultKind.KILL_IN_WRITE,
            FaultKind.RESET,
        ),
        "fault_every_s": 0.6,
        "network": NetworkProfile(
            latency_s=0.001, bandwidth_bytes_s=rng.choice((20_000.0, 60_000.0)), dead_after_s=8.0
        ),
        "snapshot_every_s": 0.2,
        "traffic": TrafficProfile(clients=4, pause_s=0.03, reads=0.1),
    }


def _towards_late_words(_: random.Random) -> Changes:
    """Row 5: words that arrive when their time is over, long tails that nobody else has."""
    return {
        "kinds": (FaultKind.HELD_WORDS,),
        "fault_every_s": 5.0,
        "faults": 10,
        "network": NetworkProfile(latency_s=0.005, jitter_s=0.005, dead_after_s=20.0),
        "sync_min_s": 0.001,
        "sync_max_s": 0.004,
        "drift": 0.0,
        "snapshot_every_s": 0.0,
        "traffic": TrafficProfile(clients=2, pause_s=0.4, reads=0.05, plans_every_s=1.0),
    }


def _towards_lonely_candidates(rng: random.Random) -> Changes:
    """Row 6: members that campaign although others have a leader."""
    return {
        "kinds": (FaultKind.ISOLATE, FaultKind.ONE_WAY, FaultKind.FLAP, FaultKind.SLOW_LINK),
        "network": NetworkProfile(
            latency_s=0.005, jitter_s=rng.choice((0.02, 0.1)), dead_after_s=20.0
        ),
        "traffic": TrafficProfile(clients=4, pause_s=0.03, reads=0.1),
        "troubles_minority": True,
    }


def _towards_slow_disks(_: random.Random) -> Changes:
    """Row 7: syncs that take most of an election timeout."""
    return {
        "kinds": (FaultKind.ISOLATE,),
        "faults": 2,
        "sync_min_s": 0.2,
        "sync_max_s": 0.5,
        "traffic": TrafficProfile(clients=4, pause_s=0.03, reads=0.1),
    }


def _towards_lonely_changes(_: random.Random) -> Changes:
    """Row 9: leaders without a majority that change who belongs to it."""
    return {
        "kinds": (FaultKind.ISOLATE, FaultKind.HALVES, FaultKind.KILL, FaultKind.PAUSE),
        "fault_every_s": 0.5,
        "spares": 2,
        "changes_every_s": 0.05,
        "changes_wait": False,
        "traffic": TrafficProfile(clients=4, pause_s=0.03, reads=0.2),
    }


def _towards_cut_off_leaders(_: random.Random) -> Changes:
    """Rows 8 and 15: leaders that do not know that they lead no more."""
    return {
        "kinds": (FaultKind.ISOLATE, FaultKind.PAUSE, FaultKind.HALVES),
        "fault_every_s": 0.8,
        "traffic": TrafficProfile(clients=4, pause_s=0.03, reads=0.5, planning_s=3.0),
    }


_DIRECTIONS: dict[int, Callable[[random.Random], Changes]] = {
    1: _towards_lost_power,
    2: _towards_lost_power,
    3: _towards_crossing_appends,
    4: _towards_snapshots,
    5: _towards_late_words,
    6: _towards_lonely_candidates,
    7: _towards_slow_disks,
    8: _towards_cut_off_leaders,
    9: _towards_lonely_changes,
    10: _towards_snapshots,
    15: _towards_cut_off_leaders,
}
