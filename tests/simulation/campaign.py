"""Many runs, one after another or on several processes, and the sum of what they did.

One run is left to `setups.py`. What must stay true: a failure carries all that is needed to replay
it, and a sum tells whether the runs proved anything.
"""

import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Protocol

import structlog

from chaos.commit import commit
from tests.simulation.faults import Fault
from tests.simulation.minimise import minimise
from tests.simulation.options import VOTER_COUNTS
from tests.simulation.setups import Setup
from tests.simulation.whole.setups import WholeSetup
from tests.simulation.world import Report

_BATCH = 8


class AnySetup(Protocol):
    """One kind of run, of consensus alone or of whole nodes."""

    def command(self, seed: int) -> str:
        """The command that replays a seed."""

    def run(self, seed: int, faults: tuple[Fault, ...] | None = None) -> Report:
        """Run a seed, or what is left of its faults."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed that broke an invariant."""

    seed: int
    setup: AnySetup
    text: str


@dataclass(slots=True)
class Sum:
    """What a number of runs came to; grown by `add` and `merge` only."""

    runs: int = 0
    faults: int = 0
    rounds: int = 0
    written: int = 0
    read: int = 0
    unknown: int = 0
    leader_changes: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    leader_after_s: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, report: Report) -> None:
        self.runs += 1
        self.faults += report.struck
        self.rounds += report.rounds
        self.written += report.tally.written
        self.read += report.tally.read
        self.unknown += report.tally.unknown
        self.leader_changes += report.leader_changes
        self.virtual_s += report.virtual_s
        self.leader_after_s += report.leader_after_s

    def merge(self, other: "Sum") -> None:
        for name in ("runs", "faults", "rounds", "written", "read", "unknown", "leader_changes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.virtual_s += other.virtual_s
        self.cpu_s += other.cpu_s
        self.leader_after_s += other.leader_after_s
        self.failures += other.failures

    def leader_after_p99_s(self) -> float:
        """The 99th percentile of how long a talking majority had no leader."""
        ordered = sorted(self.leader_after_s)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0

    def __str__(self) -> str:
        return (
            f"{self.runs} runs, {self.faults} faults, {self.leader_changes} leader changes, "
            f"{self.written} writes and {self.read} reads answered, {self.unknown} unknown, "
            f"{self.virtual_s:.0f} virtual s in {self.cpu_s:.0f} CPU s: "
            f"{self.faults / max(self.cpu_s, 0.001):.0f} faults/s per core, "
            f"{self.virtual_s / max(self.cpu_s, 0.001):.0f} times real time; "
            f"a leader after {self.leader_after_p99_s():.2f} s (p99), "
            f"{max(self.leader_after_s, default=0.0):.2f} s (longest); "
            f"{len(self.failures)} failures"
        )


def explain(report: Report, setup: AnySetup, *, minimises: bool = True) -> str:
    """Everything a person needs to replay and understand a broken invariant."""
    faults = report.plan
    if minimises:
        faults = minimise(report, lambda fewer: setup.run(report.seed, fewer))
    lines = [
        str(report.violation),
        f"seed {report.seed}, commit {commit()[:7]}",
        f"replay: {setup.command(report.seed)}",
        f"{len(faults)} of {len(report.plan)} faults are enough:",
        *(f"  {fault}" for fault in faults),
    ]
    return "\n".join(lines)


def hush() -> None:
    """Let members log nothing: thousands of them live in one process, each for a moment."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def run_some(setups: Iterable[tuple[int, AnySetup]], *, minimises: bool = True) -> Sum:
    """Run some seeds on this core."""
    total = Sum()
    for seed, setup in setups:
        began_s = time.process_time()
        report = setup.run(seed)
        total.cpu_s += time.process_time() - began_s
        total.add(report)
        if report.violation is not None:
            text = explain(report, setup, minimises=minimises)
            total.failures.append(Failure(seed, setup, text))
    return total


def all_setups(first_seed: int, faults: int) -> Iterator[tuple[int, Setup]]:
    """Seeds without end: mostly three and five voters; in each third batch machines come and go."""
    for seed in itertools.count(first_seed):
        voters = VOTER_COUNTS[1 + seed % 2] if seed % 8 else VOTER_COUNTS[0]
        yield seed, Setup(voters=voters, faults=faults, changes=seed // 8 % 3 == 0)


def whole_setups(first_seed: int, faults: int) -> Iterator[tuple[int, WholeSetup]]:
    """Seeds without end, of whole nodes: three and five of them."""
    for seed in itertools.count(first_seed):
        yield seed, WholeSetup(voters=VOTER_COUNTS[1 + (seed % 4 == 0)], faults=faults)


def run_many(
    seeds: Iterator[tuple[int, AnySetup]], total_faults: int, *, processes: int
) -> Iterator[Sum]:
    """Run until that many faults struck; yields the sum so far after each batch."""
    total = Sum()
    # Fresh interpreters: a forked one would share what the parent had imported and patched.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=hush) as pool:
        running: list[Future[Sum]] = []
        while total.faults < total_faults and len(total.failures) < _BATCH:
            while len(running) < 2 * processes:
                running.append(pool.submit(run_some, tuple(itertools.islice(seeds, _BATCH))))
            total.merge(running.pop(0).result())
            yield total
        for future in running:
            future.cancel()
