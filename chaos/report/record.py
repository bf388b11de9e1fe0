"""`./dev chaos record`: the figures of the last full runs, as the reliability page draws them.

Each kind of proof is replaced by what is given of it, or added to, and kept otherwise. What must
stay true: only what came out of a run is written, each with the commit that it was a run of.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from chaos.commit import short
from chaos.report import goals
from chaos.report.figures import COSTS

ROOT: Final = Path(__file__).parents[2]
RECORD: Final = ROOT / "docs" / "reference" / "reliability.json"
_OF_A_RUN: Final = ("passed", "seed", "commit", "voters", "workload", "lasted_ms", "counts")


def main(argv: Sequence[str]) -> int:
    """Write the record; see the module."""
    parser = argparse.ArgumentParser(prog="./dev chaos record", description=__doc__)
    parser.add_argument("--simulations", type=Path, nargs="+", help="of ./dev simulate --json")
    parser.add_argument("--crash-points", type=Path, help="of ./dev chaos crashpoints --json")
    parser.add_argument("--runs", type=Path, nargs="+", help="report.json of runs")
    parser.add_argument("--add", action="store_true", help="to the runs that are recorded")
    given = parser.parse_args(argv)
    record = _read(RECORD) if RECORD.exists() else {}
    if given.simulations:
        record["simulations"] = [_read(path) for path in given.simulations]
    if given.crash_points:
        record["crash_points"] = _read(given.crash_points)
    if given.runs:
        reports = [_read(path) for path in given.runs]
        runs = [{name: report[name] for name in _OF_A_RUN} for report in reports]
        kinds = _kinds(reports)
        record["runs"] = [*record.get("runs", ()), *runs] if given.add else runs
        record["kinds"] = joined([*record.get("kinds", ()), *kinds]) if given.add else kinds
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"written: {RECORD.relative_to(ROOT)}; draw it with ./dev docs\n")
    return 0


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _kinds(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All faults of all runs by kind and victim; what they cost where they were alone."""
    counts: Counter[tuple[str, str]] = Counter()
    groups: dict[tuple[str, str], dict[str, list[int]]] = {}
    for report in reports:
        for fault in report["faults"]:
            if not fault["is_confirmed"]:
                continue
            counts[fault["kind"], fault["aim"]] += 1
            group = groups.setdefault((fault["kind"], fault["aim"]), {name: [] for name in COSTS})
            for name, values in group.items():
                if fault[name] is not None and fault["is_alone"]:
                    values.append(fault[name])
    return [
        {
            "kind": kind,
            "aim": aim,
            "count": counts[kind, aim],
            **{name: sorted(values) for name, values in group.items()},
        }
        for (kind, aim), group in sorted(groups.items())
    ]


def joined(kinds: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the same kind and victim as one."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in kinds:
        row = rows.setdefault(
            (kind["kind"], kind["aim"]),
            {"kind": kind["kind"], "aim": kind["aim"], "count": 0, **{name: [] for name in COSTS}},
        )
        row["count"] += kind["count"]
        for name in COSTS:
            row[name] = sorted([*row[name], *kind[name]])
    return [rows[key] for key in sorted(rows)]


def reliability() -> str:
    """The record as tables, in Markdown."""
    record = _read(RECORD)
    parts = [*_simulations(record), *_crash_points(record), *_runs(record)]
    return "\n".join(parts)


def _simulations(record: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {short(one['commit'])} | {one['first_seed']} | {one['runs']:,} | {one['faults']:,} "
        f"| {one['leader_changes']:,} | {one['violations']} |"
        for one in record.get("simulations", ())
    ]
    head = "| simulated at commit | first seed | runs | faults | leader changes | violations |"
    return [head, "|---|---|---|---|---|---|", *rows, ""]


def _crash_points(record: Mapping[str, Any]) -> list[str]:
    told = record.get("crash_points", {"commit": "", "scripts": ()})
    rows = [
        f"| {one['script']} | {one['points']} | {one['judged']} | {len(one['violations'])} |"
        for one in told["scripts"]
    ]
    head = f"| crash points at commit {short(told['commit'])} | points | states | violations |"
    return [head, "|---|---|---|---|", *rows, ""]


def _runs(record: Mapping[str, Any]) -> list[str]:
    runs = [
        f"| {short(one['commit'])} | {one['seed']} | {one['voters']} | {one['counts']['faults']} "
        f"| {one['counts']['submissions']:,} | {one['counts']['moved_executions']} "
        f"| {one['counts']['late_words']} | {'passed' if one['passed'] else 'failed'} |"
        for one in record.get("runs", ())
    ]
    kinds = [
        f"| {one['kind'].replace('_', ' ')} | {one['aim']} | {one['count']} "
        f"| {_beside(one['outage_ms'], goals.of_outage(one['kind'], one['aim']))} "
        f"| {_spread(one['new_leader_ms'])} "
        f"| {_beside(one['moved_ms'], goals.of_work(one['kind'], one['aim']))} "
        f"| {_beside(one['placed_ms'], goals.of_known_work(one['kind'], one['aim']))} |"
        for one in record.get("kinds", ())
    ]
    return [
        ("| run at commit | seed | voters | faults | submissions | moved | late words | verdict |"),
        "|---|---|---|---|---|---|---|---|",
        *runs,
        "",
        "| fault | victim | faults | outage | new leader | work elsewhere | since it was taken |",
        "|---|---|---|---|---|---|---|",
        *kinds,
    ]


def _beside(values: Sequence[int], goal: goals.Goal | None) -> str:
    """Measured, and the goal where there is one."""
    if goal is None or not values:
        return _spread(values)
    return f"{_spread(values)} ({goal}{'' if goal.is_met(values) else ': missed'})"


def _spread(values: Sequence[int]) -> str:
    if not values:
        return ""
    return f"{values[len(values) // 2]:,} / {values[-1]:,} ms"
