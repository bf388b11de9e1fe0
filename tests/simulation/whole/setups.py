"""Which whole runs there are: options of a seed, and one run of it.

What must stay true: a setup and a seed together name one run.
"""

import contextlib
import gc
import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from molecule.raft.settings import Guards
from tests.simulation.disk import Survival
from tests.simulation.faults import Fault
from tests.simulation.network import NetworkProfile
from tests.simulation.options import Options
from tests.simulation.whole import processes
from tests.simulation.whole.faults import KINDS
from tests.simulation.whole.moments import virtual
from tests.simulation.whole.museum import GUARDS
from tests.simulation.whole.world import WholeOptions, WholeWorld
from tests.simulation.world import Report

_ELECTION_S = 0.6
_SAFETY_MAX_S = 40.0
_SCHEDULED = 0.5
"""So many of the runs have a schedule."""


def draw(seed: int, voters: int, faults: int) -> tuple[Options, WholeOptions]:
    """The options of a seed."""
    rng = random.Random(f"whole options {seed}")
    kinds: Any = tuple(kind for kind in KINDS if rng.random() < 0.4) or KINDS[:1]
    every_s = rng.choice((0.2, 0.4, 0.4, 1.0))
    sync_max_s = rng.choice((0.001, 0.002, 0.02))
    options = Options(
        voters=voters,
        faults=min(faults, int(_SAFETY_MAX_S / every_s)),
        kinds=kinds,
        fault_every_s=every_s,
        network=NetworkProfile(
            latency_s=rng.choice((0.0002, 0.001, 0.005)),
            jitter_s=rng.choice((0.0002, 0.002)),
            bandwidth_bytes_s=rng.choice((500_000.0, 10_000_000.0)),
            dead_after_s=rng.choice((1.0, 2.5)),
        ),
        sync_min_s=sync_max_s / 4,
        sync_max_s=sync_max_s,
        drift=rng.choice((0.0, 0.01, 0.03)),
        survivals=tuple(s for s in Survival if rng.random() < 0.6) or (Survival.PREFIX,),
        snapshot_every_s=rng.choice((0.0, 3.0, 10.0)),
        troubles_minority=rng.random() < 0.3,
    )
    names = tuple(processes.PROCESSES)
    whole = WholeOptions(
        processes=tuple(
            name for name in names if rng.random() < (0.6 if name != processes.POISON else 0.1)
        )
        or names[:1],
        clients=rng.choice((1, 2, 4)),
        pause_s=rng.choice((0.2, 0.5, 1.0)),
        input_bytes=rng.choice((10, 10, 600)),
        inline_bytes_max=rng.choice((16_384, 16_384, 300)),
        leaving_s=rng.choice((0.0, 0.02)),
        slow=rng.choice((0.0, 0.0, 0.3)),
        wall_off_s=rng.choice((0.0, 0.0, 0.5, -0.5)),
        # Drawn apart, so that seeds that were recorded before remain what they were.
        scheduled=random.Random(f"whole schedule {seed}").random() < _SCHEDULED,
    )
    return options, whole


@dataclass(frozen=True, slots=True)
class WholeSetup:
    """One kind of whole run."""

    voters: int = 3
    faults: int = 60
    guard_off: str = ""
    """The name of a guard of the museum."""

    def command(self, seed: int) -> str:
        """The command that replays a seed of this setup."""
        words = ["python -m tests.simulation.run --whole", f"--seed {seed}"]
        words += [f"--voters {self.voters}", f"--faults {self.faults}"]
        if self.guard_off:
            words.append(f"--guard-off {self.guard_off}")
        return " ".join(words)

    def run(self, seed: int, faults: tuple[Fault, ...] | None = None) -> Report:
        """Run a seed, or what is left of its faults."""
        return run(seed, self, faults)[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What simulated processes log, and leave behind when they are killed, is told to nobody."""
    hook, configured = sys.unraisablehook, structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook
        structlog.configure(**configured)


def run(
    seed: int,
    setup: WholeSetup,
    faults: tuple[Fault, ...] | None = None,
    *,
    look: Callable[[WholeWorld], Any] = lambda _: None,
) -> tuple[Report, Any]:
    """One run, and what `look` makes of its world at the end."""
    options, whole = draw(seed, setup.voters, setup.faults)
    off: AbstractContextManager[None] = contextlib.nullcontext()
    guards = Guards()
    if setup.guard_off:
        guard = GUARDS[setup.guard_off]
        options = replace(options, **guard.options, forgives=True)
        whole = replace(whole, **guard.whole)
        guards = Guards(**guard.raft_guards)
        off = guard.off()
    with _quiet(), virtual(), off:
        world = WholeWorld(
            seed, options, whole, guards=guards, election_s=_ELECTION_S, faults=faults
        )
        report = world.run()
        found = look(world)
        world.end()
        del world
        gc.collect()
    return report, found
