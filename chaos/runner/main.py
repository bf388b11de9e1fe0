"""Runs of chaos with real processes, judged by their history.

    ./dev chaos smoke
    ./dev chaos run --minutes 10 --seed 7 --workload orders,lanes --faults kill,isolate --voters 5

What must stay true: the exit code is 1 when a promise broke or a node did not come back, and 3 when
the run shows too little to prove anything.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from chaos.faults.kinds import KINDS, why_not
from chaos.history import History
from chaos.report import figures
from chaos.report.page import page
from chaos.runner.recording import write
from chaos.runner.run import Order, Run, fresh_seed
from chaos.verdict import Verdict, judge
from chaos.workloads import all as workloads

BROKEN: Final = 1
PROVES_NOTHING: Final = 3
SMOKE_STRIKES: Final = 46
"""Each kind once at least, most of them twice."""
_SMOKE_MINUTES_MAX: Final = 8.0
_SMOKE_SHOWS_MINUTES: Final = 2.0


def smoke(argv: Sequence[str]) -> int:
    """All workloads and every kind of fault."""
    parser = argparse.ArgumentParser(prog="./dev chaos smoke", description="a short run of all")
    parser.add_argument("--seed", type=int, help="default: a fresh one")
    parser.add_argument("--out", type=Path, help="keep history and logs in this folder")
    given = parser.parse_args(argv)
    return _run(
        given.seed,
        minutes=_SMOKE_MINUTES_MAX,
        shows_minutes=_SMOKE_SHOWS_MINUTES,
        names=workloads.NAMES,
        faults=tuple(name for name, kind in KINDS.items() if not kind.is_long),
        voters=3,
        out=given.out,
        strikes_max=SMOKE_STRIKES,
    )


def run(argv: Sequence[str]) -> int:
    """A run as long as asked for."""
    parser = argparse.ArgumentParser(prog="./dev chaos run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, help="default: a fresh one")
    parser.add_argument("--workload", type=_names(workloads.NAMES), default=workloads.NAMES)
    parser.add_argument("--faults", type=_names(tuple(KINDS)), default=tuple(KINDS))
    parser.add_argument("--voters", type=int, choices=(3, 5), default=3)
    parser.add_argument("--out", type=Path, help="keep history and logs in this folder")
    given = parser.parse_args(argv)
    return _run(
        given.seed,
        minutes=given.minutes,
        shows_minutes=given.minutes,
        names=given.workload,
        faults=given.faults,
        voters=given.voters,
        out=given.out,
    )


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]}; there are {', '.join(known)}")
        return names

    return read


def _run(
    seed: int | None,
    *,
    minutes: float,
    shows_minutes: float,
    names: tuple[str, ...],
    faults: tuple[str, ...],
    voters: int,
    out: Path | None,
    strikes_max: int | None = None,
) -> int:
    seed = fresh_seed() if seed is None else seed
    left_out = {name: why for name in faults if (why := why_not(name, faults))}
    faults = tuple(name for name in faults if name not in left_out)
    for name, why in left_out.items():
        _say(f"left out: {name}: {why}")
    _say(f"seed {seed}; {voters} voters; {', '.join(names)}; {', '.join(faults)}")
    with tempfile.TemporaryDirectory(prefix="molecule-chaos-") as base:
        folder = Path(base) if out is None else out
        folder.mkdir(parents=True, exist_ok=True)
        order = Order(
            seed=seed,
            minutes=minutes,
            shows_minutes=shows_minutes,
            workloads=names,
            faults=faults,
            voters=voters,
            folder=folder.resolve() / "cluster",
            strikes_max=strikes_max,
        )
        began_s = time.monotonic()
        playing = Run(order, _say)
        history = asyncio.run(playing.play())
        _say(f"played in {time.monotonic() - began_s:.0f} s; judging")
        verdict = judge(history)
        tell(history, verdict, playing.trouble)
        passed = verdict.has_passed and not playing.trouble
        if out is None and not passed:
            out = Path(tempfile.mkdtemp(prefix="molecule-chaos-failed-"))
        if out is not None:
            write(history, out / "history.jsonl")
            found = figures.of(history, verdict, tuple(playing.trouble))
            (out / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            (out / "report.html").write_text(page(found), encoding="utf-8")
            _say(f"history and report are in {out}")
        if passed:
            return 0
        return BROKEN if verdict.violations or playing.trouble else PROVES_NOTHING


def tell(history: History, verdict: Verdict, trouble: Sequence[str] = ()) -> None:
    """The verdict in sentences."""
    for violation in verdict.violations:
        _say(f"violation: {violation}")
    for lack in verdict.lacks:
        _say(str(lack))
    for text in trouble:
        _say(f"trouble: {text}")
    times = sorted(one.after_ms for one in verdict.recoveries if one.after_ms is not None)
    if times:
        _say(
            f"accepting again after a fault ended: median {times[len(times) // 2]} ms,"
            f" largest {times[-1]} ms, {len(times)} faults"
        )
    _say(", ".join(f"{name} {count}" for name, count in verdict.counts.items()))
    passed = verdict.has_passed and not trouble
    _say(f"{'passed' if passed else 'FAILED'}: seed {history.header.seed}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
