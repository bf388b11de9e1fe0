"""The page of a run: one file of HTML without anything from elsewhere, for light and dark screens.

Draws figures and computes none of them.
"""

import html
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from chaos.commit import short

_WIDTH: Final = 1100
_HEIGHT: Final = 180
_BAND: Final = 14
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6670; --line: #d5dae0;
  --paper: #ffffff; --bar: #2f6fb0; --fault: #d9822b; --bad: #b3261e; --good: #1b7f4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a424a;
  --paper: #14181c; --bar: #6ea8dc; --fault: #e8a35c; --bad: #f2867f; --good: #6fd19c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1140px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.about { color: var(--soft); margin: .2rem 0 0; }
.passed { color: var(--good); } .failed { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
.bar { fill: var(--bar); } .unknown { fill: var(--bad); }
.fault { fill: var(--fault); opacity: .28; } .leader { stroke: var(--good); stroke-width: 1.5; }
.dot { fill: var(--bar); opacity: .75; } .axis { stroke: var(--line); }
ul.bad li { color: var(--bad); overflow-wrap: anywhere; }
"""


def page(figures: dict[str, Any]) -> str:
    """The whole page."""
    verdict = "passed" if figures["passed"] else "failed"
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(figures["began_wall_ms"] / 1000))
    about = (
        f"seed {figures['seed']} · commit {short(figures['commit'])} · "
        f"{figures['voters']} voters · {figures['workload']} · {began} · "
        f"{figures['lasted_ms'] / 1000:.0f} s · Molecule {figures['software']}, "
        f"Python {figures['python']}"
    )
    bad = [*figures["violations"], *figures["lacks"], *figures["trouble"]]
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Chaos run {figures['seed']}: {verdict}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f'<h1>Chaos run: <span class="{verdict}">{verdict}</span></h1>',
            f'<p class="about">{html.escape(about)}</p>',
            _findings(bad),
            "<h2>Course</h2>",
            (
                "<p>Submissions accepted in each second, answers that stayed unknown above them; "
                "faults as bands, a line where somebody began to lead.</p>"
            ),
            _course(figures),
            "<h2>What was shown</h2>",
            _shown(figures),
            "<h2>What each kind of fault cost</h2>",
            (
                "<p>Outage: the longest time around the fault in which nothing was accepted by any "
                "node. New leader: until another node led, where the leader was a victim. One dot "
                "for each fault that struck alone.</p>"
            ),
            _kinds(figures["kinds"]),
            "<h2>Faults</h2>",
            _faults(figures["faults"]),
            "</body></html>",
            "",
        )
    )


def _findings(bad: Sequence[str]) -> str:
    if not bad:
        return "<p>Nothing broke, in a run that could have shown it.</p>"
    return f'<ul class="bad">{"".join(f"<li>{html.escape(text)}</li>" for text in bad)}</ul>'


def _table(heads: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML; `heads` say which columns are numbers."""
    marks = [' class="n"' if is_number else "" for _, is_number in heads]
    top = "".join(f"<th{mark}>{name}</th>" for mark, (name, _) in zip(marks, heads, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{m}>{cell}</td>" for m, cell in zip(marks, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def _course(figures: dict[str, Any]) -> str:
    course = figures["course"]
    accepted, unknown = course["accepted_per_s"], course["unknown_per_s"]
    seconds = max(1, len(accepted))
    top = max([1, *(a + u for a, u in zip(accepted, unknown, strict=True))])
    width, height = _WIDTH / seconds, _HEIGHT - 2 * _BAND
    base = _HEIGHT - _BAND
    parts = [
        (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="accepted submissions in each of {seconds} seconds, with faults">'
        )
    ]
    for fault in figures["faults"]:
        x = fault["began_ms"] / 1000 * width
        wide = max(2.0, (fault["lasted_ms"] or 0) / 1000 * width)
        title = html.escape(f"{fault['number']}: {fault['kind']} of {fault['aim']}")
        parts.append(
            f'<rect class="fault" x="{x:.1f}" y="{_BAND}" width="{wide:.1f}" height="{height}">'
            f"<title>{title}</title></rect>"
        )
    for second, (many, lost) in enumerate(zip(accepted, unknown, strict=True)):
        x, tall = second * width, many / top * height
        parts.append(_bar("bar", x, base - tall, width, tall))
        if lost:
            more = lost / top * height
            parts.append(_bar("unknown", x, base - tall - more, width, more))
    for led in course["leaders"]:
        x = led["at_ms"] / 1000 * width
        parts.append(
            f'<line class="leader" x1="{x:.1f}" x2="{x:.1f}" y1="{_BAND}" y2="{base}">'
            f"<title>{html.escape(led['node'])} leads epoch {led['epoch']}</title></line>"
        )
    parts.append(f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}"/>')
    parts.append(f'<text x="0" y="{_BAND - 3}">{top} in a second</text>')
    for part in range(5):
        x, at = part / 4 * (_WIDTH - 40), part / 4 * seconds
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 2}">{at:.0f} s</text>')
    return "".join([*parts, "</svg>"])


def _bar(name: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{name}" x="{x:.2f}" y="{y:.1f}" width="{max(width - 0.4, 0.4):.2f}" '
        f'height="{height:.1f}"/>'
    )


def _shown(figures: dict[str, Any]) -> str:
    demands = figures["demands"]
    return _table(
        (("what", False), ("shown", True), ("demanded", True)),
        (
            (name.replace("_", " "), f"{count:,}", f"{demands[name]:,}")
            for name, count in figures["counts"].items()
        ),
    )


def _kinds(kinds: Sequence[dict[str, Any]]) -> str:
    largest = max(
        [1, *(kind["outage_ms"]["largest"] for kind in kinds if kind["outage_ms"])],
    )
    return _table(
        (
            ("kind", False),
            ("victim", False),
            ("faults", True),
            ("outage, median", True),
            ("largest", True),
            (f"0 to {largest:,} ms", False),
            ("new leader, median", True),
            ("largest", True),
            ("work elsewhere, median", True),
            ("largest", True),
            ("since it was taken, median", True),
            ("largest", True),
        ),
        (
            (
                html.escape(kind["kind"].replace("_", " ")),
                html.escape(kind["aim"]),
                str(kind["count"]),
                *_middle_and_end(kind["outage_ms"]),
                _dots(kind["outage_ms"], largest),
                *_middle_and_end(kind["new_leader_ms"]),
                *_middle_and_end(kind["moved_ms"]),
                *_middle_and_end(kind["placed_ms"]),
            )
            for kind in kinds
        ),
    )


def _middle_and_end(spread: dict[str, Any] | None) -> tuple[str, str]:
    if spread is None:
        return "", ""
    return f"{spread['median']:,} ms", f"{spread['largest']:,} ms"


def _dots(spread: dict[str, Any] | None, largest: int) -> str:
    dots = "".join(
        f'<circle class="dot" cx="{4 + value / largest * 172:.1f}" cy="8" r="3.5"/>'
        for value in (spread or {"all": ()})["all"]
    )
    return (
        '<svg viewBox="0 0 180 16" style="width: 180px" aria-hidden="true">'
        f'<line class="axis" x1="4" x2="176" y1="8" y2="8"/>{dots}</svg>'
    )


def _faults(faults: Sequence[dict[str, Any]]) -> str:
    return _table(
        (
            ("", True),
            ("kind", False),
            ("victim", False),
            ("at", True),
            ("lasted", True),
            ("outage", True),
            ("seen by", False),
        ),
        (
            (
                str(fault["number"]),
                html.escape(fault["kind"].replace("_", " ")),
                html.escape(f"{fault['aim']} {' '.join(fault['nodes'])}"),
                f"{fault['began_ms'] / 1000:.1f} s",
                "" if fault["lasted_ms"] is None else f"{fault['lasted_ms'] / 1000:.1f} s",
                "" if fault["outage_ms"] is None else f"{fault['outage_ms']:,} ms",
                html.escape(
                    json.dumps(fault["evidence"]).strip("{}").replace('"', "")
                    if fault["is_confirmed"]
                    else "nothing"
                ),
            )
            for fault in faults
        ),
    )
