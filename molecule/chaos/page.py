"""The page of a run: one file of HTML without anything from elsewhere, for light and dark screens.

Draws figures and computes none of them. What must stay true: every text of a history is escaped.
"""

import html
import json
import time
from collections.abc import Iterable
from typing import Any, Final

_WIDTH: Final = 1100
_HEIGHT: Final = 180
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6670; --line: #d5dae0;
  --paper: #ffffff; --bar: #2f6fb0; --fault: #d9822b; --bad: #b3261e; --good: #1b7f4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a424a;
  --paper: #14181c; --bar: #6ea8dc; --fault: #e8a35c; --bad: #f2867f; --good: #6fd19c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1140px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.about { color: var(--soft); margin: .2rem 0 0; }
.kept { color: var(--good); } .broken, .nothing { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
.bar { fill: var(--bar); } .unknown { fill: var(--bad); }
.fault { fill: var(--fault); opacity: .28; } .axis { stroke: var(--line); }
ul.bad li { color: var(--bad); overflow-wrap: anywhere; }
"""
_CLASSES: Final = {"kept": "kept", "broken": "broken", "proves nothing": "nothing"}
_COURSE: Final = """<p>Submissions accepted in each second, answers that stayed unknown above them;
faults as bands.</p>"""
_OUTAGE: Final = """<p>Outage: the longest time around the fault in which no address accepted
anything.</p>"""
_SENTENCES: Final = {
    "kept": "Every promise was kept, and every fault was seen to work.",
    "broken": "A promise was broken.",
    "proves nothing": "Nothing that was seen is broken, but the run does not prove anything.",
}


def page(figures: dict[str, Any]) -> str:
    """The whole page."""
    verdict = figures["verdict"]
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(figures["began_wall_ms"] / 1000))
    about = (
        f"cluster {figures['cluster']} · {len(figures['nodes'])} nodes, "
        f"{len(figures['voters'])} voters · seed {figures['seed']} · Molecule "
        f"{figures['software']} · {began} · {figures['lasted_ms'] / 1000:.0f} s · process "
        f"{figures['process']} in {figures['environment']}"
    )
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Chaos run {figures['seed']}: {verdict}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f'<h1>Chaos run: <span class="{_CLASSES[verdict]}">{verdict}</span></h1>',
            f'<p class="about">{html.escape(about)}</p>',
            f"<p>{_SENTENCES[verdict]}</p>",
            _list("Broken", figures["violations"]),
            _list("What the run lacks", figures["lacks"]),
            "<h2>Course</h2>",
            _COURSE,
            _course(figures),
            "<h2>What was seen</h2>",
            _shown(figures),
            "<h2>Faults</h2>",
            _OUTAGE,
            _faults(figures["faults"]),
            "</body></html>",
            "",
        )
    )


def _list(heading: str, texts: list[str]) -> str:
    if not texts:
        return ""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return f'<h2>{heading}</h2><ul class="bad">{items}</ul>'


def _course(figures: dict[str, Any]) -> str:
    accepted, unknown = figures["accepted_per_s"], figures["unknown_per_s"]
    top = max([1, *(one + other for one, other in zip(accepted, unknown, strict=True))])
    wide = _WIDTH / max(1, len(accepted))
    drawn = []
    for fault in figures["faults"]:
        left = fault["began_ms"] / 1000 * wide
        ended_ms = fault["ended_ms"] or figures["lasted_ms"]
        right = min(_WIDTH, ended_ms / 1000 * wide)
        told = html.escape(f"{fault['fault']}: {fault['kind']} {' '.join(fault['nodes'])}")
        drawn.append(
            f'<rect class="fault" x="{left:.1f}" y="0" width="{max(1.5, right - left):.1f}" '
            f'height="{_HEIGHT}"><title>{told}</title></rect>'
        )
    for second, (one, other) in enumerate(zip(accepted, unknown, strict=True)):
        low = _HEIGHT * one / top
        high = _HEIGHT * other / top
        drawn.append(_bar("bar", second * wide, wide, low, 0))
        drawn.append(_bar("unknown", second * wide, wide, high, low))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 18}" role="img" aria-label="Course of the run">'
        f'{"".join(drawn)}<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
        f'<text x="0" y="{_HEIGHT + 14}">0 s</text><text x="{_WIDTH}" y="{_HEIGHT + 14}" '
        f'text-anchor="end">{len(accepted)} s; at most {top} a second</text></svg>'
    )


def _bar(name: str, left: float, wide: float, high: float, below: float) -> str:
    if not high:
        return ""
    top = _HEIGHT - below - high
    return (
        f'<rect class="{name}" x="{left:.1f}" y="{top:.1f}" width="{max(0.5, wide - 1):.1f}" '
        f'height="{high:.1f}"/>'
    )


def _shown(figures: dict[str, Any]) -> str:
    faults = figures["faults"]
    answers = figures["answers"]
    rows = (
        ("faults confirmed, of all", f"{sum(one['confirmed'] for one in faults)} of {len(faults)}"),
        ("submissions acknowledged", f"{figures['acknowledged']:,}"),
        ("answers", ", ".join(f"{count:,} {name}" for name, count in answers.items())),
        ("ended", ", ".join(f"{n:,} {state}" for state, n in figures["ended"].items()) or "none"),
    )
    return _table(("", ""), ((name, html.escape(value)) for name, value in rows))


def _faults(faults: list[dict[str, Any]]) -> str:
    headings = ("", "fault", "at", "nodes", "by", "began", "lasted", "outage", "seen by")
    return _table(headings, (_fault(fault) for fault in faults))


def _fault(fault: dict[str, Any]) -> tuple[str, ...]:
    seen = json.dumps(fault["evidence"])[1:-1].replace('"', "")
    if not fault["confirmed"]:
        seen = f"not confirmed: {fault['why_not'] or 'nothing showed it'}"
    if not fault["healed"]:
        seen += "; not healed"
    lasted = "" if fault["ended_ms"] is None else _ms(fault["ended_ms"] - fault["began_ms"])
    told = (
        str(fault["fault"]),
        fault["kind"],
        fault["aim"],
        " ".join(fault["nodes"]),
        fault["means"],
        f"{fault['began_ms'] / 1000:.1f} s",
        lasted,
        _ms(fault["outage_ms"]),
        seen,
    )
    return tuple(html.escape(text) for text in told)


def _ms(milliseconds: int) -> str:
    return f"{milliseconds:,} ms"


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{text}</td>' for text in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
