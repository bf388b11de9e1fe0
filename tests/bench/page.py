"""The result of a run as text: lines for a terminal, a table for the documentation."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.tidy.source import ROOT

RESULTS: Final = ROOT / "docs" / "reference"
_VERDICTS: Final = {True: "met", False: "missed", None: ""}


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """One line per figure."""
    for each in result["figures"]:
        yield (
            f"{each['workload']} {each['name']:58} {each['median']:>9,} {each['unit']:13}"
            f" {each['goal']:32} {_VERDICTS[each['met']]}"
        )


def performance(name: str = "performance") -> str:
    """A committed result for the page: the machine, then each figure beside its goal."""
    return table(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


def table(result: Mapping[str, Any]) -> str:
    """Markdown."""
    machine = result["machine"]
    told = (
        f"Measured {result['taken']} at commit {machine['commit']} on {machine['cores']} cores of "
        f"{machine['model']}, {machine['memory_gb']} GB, Linux {machine['kernel']}, Python "
        f"{machine['python']}; load average before: {result['load_average_before']}."
    )
    if result["quick"]:
        told += " Short loads: for a comparison only."
    rows = ["| figure | median | range | runs | goal | |", "|---|---|---|---|---|---|"]
    for each in result["figures"]:
        cells = (
            f"{each['workload']}: {each['name']}",
            f"{each['median']:,} {each['unit']}",
            f"{each['minimum']:,} to {each['maximum']:,}",
            str(len(each["runs"])),
            each["goal"],
            _VERDICTS[each["met"]],
        )
        rows.append(f"| {' | '.join(cells)} |")
    shares = [
        f"{each['workload']} {each['name']}: {note['client_cpu_share']:.0%}"
        for each in result["figures"]
        for note in each["notes"][:1]
        if "client_cpu_share" in note
    ]
    if shares:
        rows += ["", f"The client's share of all CPU time: {'; '.join(shares)}."]
    return "\n".join([told, "", *rows])
