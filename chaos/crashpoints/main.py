"""Crash points: every write, sync and rename of the storage classes, each as the last one.

    ./dev chaos crashpoints
    ./dev chaos crashpoints --script journal --point 31

What must stay true: the exit code is 1 when a promise broke or when there was too little to judge,
and 2 when nothing could be judged here.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from chaos.commit import commit
from chaos.crashpoints import campaign
from chaos.crashpoints.scripts import SCRIPTS

POINTS_MIN: Final[Mapping[str, int]] = {
    "journal": 100,
    "data-folder": 150,
    "documents": 180,
    "outbox": 60,
    "state": 180,
    "voter": 300,
}
"""Fewer points prove nothing: then the record misses calls, or the script lost steps."""


def main(argv: Sequence[str]) -> int:
    """Run it; see the module."""
    given = _parser().parse_args(argv)
    refusal = why_not()
    if refusal:
        print(f"crash points: {refusal}", file=sys.stderr)
        return 2
    scripts = given.script or list(SCRIPTS)
    if len(scripts) == 1:
        results = [campaign.run(scripts[0], point=given.point).as_values()]
    else:
        with ThreadPoolExecutor(given.processes) as pool:
            results = list(pool.map(_apart, scripts))
    if given.json is not None:
        told = {"commit": commit(), "scripts": results}
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    faults = [
        fault for result in results for fault in _faults(result, is_whole=given.point is None)
    ]
    for result in results:
        kinds = ", ".join(f"{kind} {count}" for kind, count in result["kinds"].items())
        print(f"{result['script']}: {result['points']} points, {result['judged']} states ({kinds})")
    for fault in faults:
        print(fault)
    judged = sum(result["judged"] for result in results)
    print(f"{judged} states after a crash, {len(faults)} violations")
    return 1 if faults else 0


def why_not() -> str:
    """Why nothing can be judged here; empty: it can."""
    if shutil.which("strace") is None:
        return "strace is missing; install it (Debian: apt-get install strace)"
    tried = subprocess.run(
        ["strace", "-qq", "-e", "trace=none", sys.executable, "-c", ""],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"strace cannot watch a process here: {tried.stderr.strip()[-200:]}"
    return ""


def _faults(result: Mapping[str, Any], *, is_whole: bool) -> list[str]:
    faults = [f"violation: ./dev chaos crashpoints {text}" for text in result["violations"]]
    least = POINTS_MIN[result["script"]]
    if is_whole and result["points"] < least:
        faults.append(f"{result['script']}: {result['points']} points, at least {least} expected")
    return faults


def _apart(script: str) -> dict[str, Any]:
    """The result of a script in a process of its own, so that two processors are used."""
    command = [sys.executable, "-m", "chaos.crashpoints.apart", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"judging {script} did not end well: {ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev chaos crashpoints", description=__doc__)
    parser.add_argument("--script", action="append", choices=list(SCRIPTS), help="only this one")
    parser.add_argument("--point", type=int, help="only this point of one script")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the result to a file, too")
    return parser
