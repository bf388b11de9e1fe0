"""`./dev chaos report HISTORY [--html FILE] [--json FILE]`: judge a history and draw it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.history import BrokenHistory, History
from chaos.report import figures
from chaos.report.page import page
from chaos.verdict import judge


def main(argv: Sequence[str]) -> int:
    """1 when the run failed, 2 when the file is no history."""
    parser = argparse.ArgumentParser(prog="./dev chaos report", description=__doc__)
    parser.add_argument("history", type=Path)
    parser.add_argument("--html", type=Path, help="write the page to this file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(argv)
    try:
        with given.history.open(encoding="utf-8") as file:
            history = History.read(file)
    except (OSError, BrokenHistory) as error:
        sys.stderr.write(f"chaos report: {given.history}: {error}\n")
        return 2
    found = figures.of(history, judge(history))
    if given.html is not None:
        given.html.write_text(page(found), encoding="utf-8")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{'passed' if found['passed'] else 'failed'}: seed {found['seed']}\n")
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
