"""Faults against the product, outside of its tests.

    ./dev chaos crashpoints     every write, sync and rename, each as the last one before a crash
    ./dev chaos simulate        seeds of the simulator; the same as ./dev simulate
    ./dev chaos smoke           real processes, all workloads, each kind of fault, 8 minutes
    ./dev chaos run             the same, as long as asked for
    ./dev chaos report FILE     judge a history again, and draw it
    ./dev chaos record          keep the figures of full runs for docs/reliability.md

Each command tells more with --help.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chaos.crashpoints import main as crashpoints
from chaos.report import __main__ as report
from chaos.report import record
from chaos.runner import main as runner


def _simulate(rest: Sequence[str]) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation.run", *rest], check=False
    ).returncode


COMMANDS: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {
    "crashpoints": crashpoints.main,
    "simulate": _simulate,
    "smoke": runner.smoke,
    "run": runner.run,
    "report": report.main,
    "record": record.main,
}


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code, and 2 for one that does not exist."""
    if argv and argv[0] in COMMANDS:
        return COMMANDS[argv[0]](argv[1:])
    wants_help = bool(argv) and argv[0] in ("-h", "--help")
    if argv and not wants_help:
        print(f"chaos: there is no command {argv[0]}", file=sys.stderr)
    print(__doc__, file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
