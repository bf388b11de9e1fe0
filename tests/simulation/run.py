"""The command line of the simulator: replay one seed, or run many on several processes.

    python -m tests.simulation.run --seed 7 --voters 3
    python -m tests.simulation.run --seed 7 --guards-off 3 --trace
    python -m tests.simulation.run --total-faults 100000 --processes 2
    python -m tests.simulation.run --whole --seed 7

The runs themselves are `setups.py` and `campaign.py`. What must stay true: every failure is
printed with the command that replays it, and the exit code says whether there was one.
"""

import argparse
import json
import secrets
import sys
from pathlib import Path

from chaos.commit import commit
from tests.simulation.campaign import (
    AnySetup,
    all_setups,
    explain,
    hush,
    run_many,
    whole_setups,
)
from tests.simulation.setups import ROWS, Setup
from tests.simulation.whole.museum import GUARDS
from tests.simulation.whole.setups import WholeSetup

_FAULTS = 150


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; 1 when an invariant broke."""
    hush()
    asked = _parser().parse_args(arguments)
    if asked.total_faults:
        return _many(asked)
    return _one(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed (default: a fresh one)")
    parser.add_argument("--voters", type=int, default=3, choices=(1, 3, 5))
    parser.add_argument("--faults", type=int, default=_FAULTS, help="planned faults of one run")
    parser.add_argument("--member", default="replica", choices=("replica", "library"))
    parser.add_argument("--guards-off", type=_rows, default=(), help="rows, such as 3 or 3,5")
    parser.add_argument("--aim", type=int, choices=ROWS, help="options directed at this row")
    parser.add_argument("--changes", action="store_true", help="members join and leave")
    parser.add_argument("--whole", action="store_true", help="whole nodes, not consensus alone")
    parser.add_argument("--guard-off", default="", choices=("", *GUARDS), help="with --whole")
    parser.add_argument("--trace", action="store_true", help="print the last events of the run")
    parser.add_argument("--no-minimise", action="store_true", help="keep the whole fault list")
    parser.add_argument("--total-faults", type=int, help="run fresh seeds until so many struck")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what the fresh seeds came to to a file")
    return parser


def _rows(text: str) -> tuple[int, ...]:
    rows = tuple(int(word) for word in text.split(","))
    if unknown := [row for row in rows if row not in ROWS]:
        raise argparse.ArgumentTypeError(f"no guard of row {unknown[0]}; there are {ROWS}")
    return rows


def _one(asked: argparse.Namespace) -> int:
    setup: AnySetup = Setup(
        voters=asked.voters,
        faults=asked.faults,
        member=asked.member,
        guards_off=asked.guards_off,
        aim=asked.aim,
        changes=asked.changes,
    )
    if asked.whole:
        setup = WholeSetup(voters=asked.voters, faults=asked.faults, guard_off=asked.guard_off)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    report = setup.run(seed)
    if asked.trace:
        _say(*report.trace)
    _say(
        f"seed {seed}: {report.struck} faults, {report.virtual_s:.1f} virtual s, "
        f"{report.rounds} rounds, {report.leader_changes} leader changes, "
        f"{report.member_changes} changes of members, "
        f"trace {report.trace_hash:08x}, {report.tally}",
    )
    if report.violation is None:
        return 0
    _say(explain(report, setup, minimises=not asked.no_minimise))
    return 1


def _many(asked: argparse.Namespace) -> int:
    first_seed = secrets.randbits(32) if asked.seed is None else asked.seed
    _say(f"first seed {first_seed}")
    total = None
    told = 0
    setups = whole_setups if asked.whole else all_setups
    seeds = setups(first_seed, asked.faults)
    for total in run_many(seeds, asked.total_faults, processes=asked.processes):
        for failure in total.failures[told:]:
            _say("", failure.text)
        told = len(total.failures)
        sys.stderr.write(f"\r{total.faults} of {asked.total_faults} faults")
        sys.stderr.flush()
    _say("", str(total))
    if asked.json is not None and total is not None:
        figures = {
            "commit": commit(),
            "whole_nodes": asked.whole,
            "first_seed": first_seed,
            "runs": total.runs,
            "faults": total.faults,
            "leader_changes": total.leader_changes,
            "cpu_s": round(total.cpu_s),
            "violations": len(total.failures),
        }
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if told else 0


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
