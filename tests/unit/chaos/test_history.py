"""Histories as files: what is written is read, and what is broken is refused at its line."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import history as histories
from chaos.history import BrokenHistory, History
from tests.unit.chaos.good_runs import good

Lines = list[dict[str, Any]]
AT: dict[str, Any] = {"at_us": 5, "wall_ms": 7}
SUBMIT = {"action": "submit", "process": "p", "idempotency_key": "k", "digest": "d"}
ASKED = {"kind": "invoked", **AT, "operation": 1, "client": "c", "ask": SUBMIT}
TOLD = {"kind": "answered", **AT, "operation": 1, "outcome": "ok", "execution": "e"}
BEGAN = {"kind": "fault_began", **AT, "fault": 1, "fault_kind": "kill", "nodes": ["n1"]}
SEEN = {"kind": "fault_confirmed", **AT, "fault": 1, "evidence": {"state": "T"}}
HEALED = {"kind": "fault_ended", **AT, "fault": 1}
TIMELINE = {"kind": "timeline", **AT, "node": "n1", "execution": "e"}


def header(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "header",
        "at_us": 0,
        "wall_ms": 0,
        "seed": 1,
        "commit": "c",
        "workload": "w",
        "nodes": ["n1"],
        "processes": {},
        "bounds": {"late_effect_ms": 1},
        **fields,
    }


def of(*between: dict[str, Any], first: dict[str, Any] | None = None) -> str:
    """The text of a history with these lines between its header and its end."""
    lines = [first or header(), *between]
    closed = {"kind": "closed", **AT, "records": len(lines)}
    return "".join(json.dumps(line) + "\n" for line in [*lines, closed])


def read(text: str) -> History:
    return History.read(io.StringIO(text))


def refused(text: str) -> str:
    with pytest.raises(BrokenHistory) as broken:
        read(text)
    assert str(broken.value).startswith(f"line {broken.value.line}: ")
    return str(broken.value)


def written(history: History) -> str:
    file = io.StringIO()
    history.write(file)
    return file.getvalue()


def test_what_is_written_is_read() -> None:
    history = good(1)
    again = read(written(history))
    assert again.header == history.header
    assert again.records == history.records
    assert [record.line for record in again.records] == list(range(1, len(again.records) + 1))


def test_a_history_answers_for_operations_and_faults() -> None:
    history = read(of(ASKED, BEGAN, SEEN, TOLD, HEALED))
    (operation,) = history.operations
    assert (operation.lines, operation.is_ok) == ((2, 5), True)
    (fault,) = history.faults
    assert fault.confirmed is not None
    assert fault.ended is not None
    assert (fault.began.line, fault.confirmed.line, fault.ended.line) == (3, 4, 6)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "line 1: there is no header: the file is empty"),
        (of(first=ASKED), "line 1: there is no header"),
        (of(header()), "line 2: another header"),
        (of(first=header(format=2)), "line 1: header.format"),
        (of(first=header(nodes=[])), "line 1: header.nodes"),
        (of(first=header(demands={"faults": 0})), "line 1: header.demands.faults"),
        (of(ASKED, TOLD) + "{}\n", "line 5: "),
        (of(ASKED, TOLD) + json.dumps(HEALED) + "\n", "line 5: stands behind the end"),
        (of(ASKED), "line 2: operation 1 was never answered"),
        (of(TOLD), "line 2: operation 1 does not wait for an answer"),
        (of(ASKED, TOLD, TOLD), "line 4: operation 1 does not wait for an answer"),
        (of(ASKED, ASKED, TOLD), "line 3: operation 1 was sent before"),
        (of(ASKED, TOLD | {"at_us": 4}), "line 3: answers before line 2 has asked"),
        (of(ASKED, TOLD | {"execution": ""}), "line 3: the answer tells no execution"),
        (of(ASKED, TOLD | {"outcome": "failed"}), "line 3: answered.outcome"),
        (of(HEALED), "line 2: fault 1 is not under way"),
        (of(BEGAN, HEALED, SEEN), "line 4: fault 1 is not under way"),
        (of(BEGAN, BEGAN), "line 3: fault 1 began before"),
        (of(BEGAN, HEALED | {"at_us": 4}), "line 3: stands before line 2 in time"),
        (of(BEGAN, SEEN | {"evidence": {}}), "line 3: fault_confirmed.evidence"),
        (of({"kind": "phase", **AT, "phase": "calm"}) * 2, "line 4: another header"),
        (of({"kind": "guess", **AT}), "line 2: Input tag 'guess'"),
        (of(BEGAN | {"why": "x"}), "line 2: fault_began.why: Extra inputs"),
        (of(BEGAN | {"fault": "1"}), "line 2: fault_began.fault: Input should be a valid integer"),
        (of(BEGAN | {"at_us": -1}), "line 2: fault_began.at_us"),
        (of({"kind": "wiped", "node": "n1"}), "line 2: wiped.at_us: Field required"),
        (of(TIMELINE | {"rows": [{"index": 1, "kind": "ended"}]}), "line 2: timeline.rows.0"),
        ("not json\n", "line 1: Invalid JSON"),
        ("\n", "line 1: Invalid JSON"),
    ],
)
def test_a_broken_file_is_refused_at_its_line(text: str, what: str) -> None:
    assert refused(text).startswith(what)


@pytest.mark.parametrize(
    ("ask", "missing"),
    [
        ({"action": "cancel", "execution": "e"}, "state"),
        ({"action": "show", "execution": "e"}, "state"),
        ({"action": "swap", "register_name": "x", "expected": 1, "value": 2}, "match"),
    ],
)
def test_an_answer_tells_what_its_request_asked_for(ask: dict[str, Any], missing: str) -> None:
    assert refused(of(ASKED | {"ask": ask}, TOLD)).endswith(f"the answer tells no {missing}")
    unknown = TOLD | {"outcome": "unknown"}
    assert len(read(of(ASKED | {"ask": ask}, unknown)).operations) == 1


def test_phases_come_in_order() -> None:
    phases = [{"kind": "phase", **AT, "phase": name} for name in ("faults", "calm", "final")]
    assert len(read(of(*phases)).records) == 5
    assert refused(of(phases[1], phases[0])) == "line 3: the phase faults comes too late"
    assert refused(of(phases[1], phases[1])) == "line 3: the phase calm comes too late"


def test_a_line_without_its_end_is_refused() -> None:
    assert refused(of(ASKED, TOLD)[:-1]) == "line 4: cut short: it has no end"


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "LINE_CHARACTERS_MAX", 1000)
    assert read(of(ASKED, TOLD)).operations
    assert refused(of(ASKED | {"client": "c" * 1000}, TOLD)).startswith("line 2: longer than")


def _without(place: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:place], *lines[place + 1 :]]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_that_lost_any_line_is_refused(data: st.DataObject) -> None:
    lines = written(good(2)).splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    refused("".join(_without(place)(lines)))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_that_ends_anywhere_is_refused(data: st.DataObject) -> None:
    text = written(good(2))
    refused(text[: data.draw(st.integers(0, len(text) - 1))])
