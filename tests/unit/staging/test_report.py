"""The report of a run: its figures, and a page that needs nothing from elsewhere."""

import json
import re

from molecule.chaos import records as r
from molecule.chaos.figures import figures
from molecule.chaos.history import History
from molecule.chaos.page import page
from molecule.chaos.records import Outcome
from tests.unit.staging.histories import Story, also, begin, changed, finish, strike


def test_the_figures_tell_what_happened() -> None:
    told = figures(changed(lambda record: record))

    assert told["verdict"] == "kept"
    assert told["acknowledged"] == 11
    assert told["answers"] == {"ok": 11, "refused": 0, "unknown": 1}
    assert told["ended"] == {"COMPLETED": 11}
    assert sum(told["accepted_per_s"]) == 11
    assert told["faults"] == [
        {
            "fault": 1,
            "kind": "kill",
            "aim": "leader",
            "nodes": ["n1"],
            "means": "processes",
            "began_ms": 1400,
            "ended_ms": 1800,
            "confirmed": True,
            "evidence": {"processes_left": 0},
            "why_not": "",
            "healed": True,
            "outage_ms": 800,
        }
    ]
    assert json.loads(json.dumps(told)) == told


def test_the_page_names_verdict_seed_version_and_faults() -> None:
    drawn = page(figures(changed(lambda record: record)))

    for text in (">kept<", "seed 7", "Molecule 0.1", "cluster staging", "<td>kill</td>", "800 ms"):
        assert text in drawn
    assert "1 of 1" in drawn


def test_the_page_needs_nothing_from_elsewhere() -> None:
    drawn = page(figures(changed(lambda record: record)))

    assert not re.search(r"https?://|<script|<link|<img|url\(|@import", drawn)


def test_what_is_broken_and_what_lacks_stands_on_the_page() -> None:
    history = also(
        (r.FaultUnconfirmed, {"fault": 1, "why": "<b>awake</b>"}),
        (r.Books, {"url": "<i>", **dict.fromkeys(r.SIDES, 0), "accepted": 1}),
    )
    drawn = page(figures(history))

    assert "not confirmed: &lt;b&gt;awake&lt;/b&gt;" in drawn
    assert "&lt;i&gt; accepted 1" in drawn
    assert "<b>" not in drawn
    assert "<i>" not in drawn


def test_a_history_of_a_killed_run_is_drawn() -> None:
    story = Story()
    begin(story)
    story.add(r.FaultBegan, fault=1, fault_kind="kill", aim="x", nodes=("n1",), means="hook")
    story.add(r.Invoked, operation=99, client="c", url="u", idempotency_key="late")
    told = figures(History(story.records))

    assert told["verdict"] == "proves nothing"
    assert told["faults"][0]["ended_ms"] is None
    assert told["answers"]["unknown"] == 1
    assert "proves nothing" in page(told)


def test_unknown_answers_are_drawn_where_they_came() -> None:
    story = Story()
    begin(story)
    strike(story)
    story.submit("k99", Outcome.UNKNOWN)
    finish(story)

    assert sum(figures(story.close())["unknown_per_s"]) == 2
