"""`./dev bench`: run workloads on a fresh cluster, print figures beside goals, write them as JSON.

Each workload of each run gets a cluster of its own. A run in which a leader changed or a process
died without a fault has no figures: it fails.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import backlog, failures, idle, machine, page, rates
from tests.bench.figures import Figures, Scale
from tests.bench.site import Disturbed, Site


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs on a cluster of its own, and what of it must be the same at its end."""

    run: Callable[[Site, Figures, Scale], Awaitable[None]]
    keeps_processes: bool = True
    keeps_leader: bool = True
    is_repeated: bool = True


WORKLOADS: Final = {
    "W1": Workload(rates.w1),
    "W2": Workload(rates.w2),
    # Each death is a sample.
    "W3": Workload(failures.w3, keeps_processes=False, keeps_leader=False, is_repeated=False),
    # It restarts a follower.
    "W4": Workload(backlog.w4, keeps_processes=False),
    "W5": Workload(idle.w5),
}


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


async def measure(names: list[str], *, runs: int, scale: Scale, figures: Figures) -> None:
    """All runs of all workloads."""
    for run in range(1, runs + 1):
        for name in names:
            workload = WORKLOADS[name]
            if run > 1 and not workload.is_repeated:
                continue
            _say(f"{name}, run {run} of {runs}, load average {machine.load_average()}")
            with tempfile.TemporaryDirectory(prefix="molecule-bench-") as folder:
                async with Site(Path(folder)) as site:
                    await _measure(site, workload, scale, figures)


async def _measure(site: Site, workload: Workload, scale: Scale, figures: Figures) -> None:
    epoch, before = await site.epoch(), site.pids()
    await workload.run(site, figures, scale)
    if workload.keeps_processes:
        site.check_alive(before)
    if workload.keeps_leader and await site.epoch() != epoch:
        raise Disturbed("another node leads, and nobody broke anything")


def main() -> int:
    """Exit code 1 when the run has no valid figures; a missed goal is no error."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(WORKLOADS), help="may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="of each workload; 3 unless told")
    parser.add_argument("--quick", action="store_true", help="short loads, for a comparison")
    parser.add_argument("--kills", type=int, default=20, help="of each kind in W3; 20 unless told")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--pending", type=int, help="depth of W4; 100,000 unless told")
    asked = parser.parse_args()
    # Told to end, it ends like an interrupt: no node is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures = Figures(_say)
    scale = Scale(
        is_quick=asked.quick,
        kills=asked.kills,
        pending=asked.pending or (6_000 if asked.quick else 100_000),
    )
    names = asked.only or list(WORKLOADS)
    before = machine.load_average()
    try:
        asyncio.run(measure(names, runs=asked.runs, scale=scale, figures=figures))
    except Disturbed as disturbed:
        sys.stderr.write(f"bench: {disturbed}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    result = {
        "machine": machine.description(),
        "taken": time.strftime("%Y-%m-%d"),
        "load_average_before": before,
        "quick": asked.quick,
        "figures": figures.documents(),
    }
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for line in page.lines(result):
        _say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
