# ruff: noqa: E501 - findings stand here as people read them
"""Faults in a process's text: all at once, each with its place and what to do."""

import pytest

from molecule.config import Limits
from tests.unit.definition.builders import parse, sound, told, with_steps

FULL_OF_FAULTS = """\
molecule: 2
process: Late Flights
desciption: a slip
trigger: {type: file.wach, connection: inbox}
options:
  failover: resum
  timeout: 30
  spill: 1GB
  concurrency: {by: "tailnum +", limit: 0}
steps:
  - id: late
    type: decison
  - id: late
    type: map
    to: {a: "$number(", b: 1}
    colour: red
  - type: lookup
    table: airline
    by: carrier
    set: []
  - id: tell
    type: http.request
    connection: dsk
    method: PUSH
    path: /x/${a b}
    retry: {max: 500, errors: [transient.maybe]}
  - id: collect
    type: collect
"""


# As a designer reads them.
ALL_ITS_FAULTS = """\
p.yaml:1:11 molecule: unknown language version 2 (write molecule: 1)
p.yaml:2:10 process: 'Late Flights' is no name (use a-z, 0-9 and -, at most 63)
p.yaml:3:1 desciption: unknown field desciption (did you mean description?)
p.yaml:4:17 trigger.type: there is no trigger file.wach (did you mean file.watch?)
p.yaml:6:13 options.failover: must be one of resume, restart, hold, fail; is resum (did you mean resume?)
p.yaml:7:12 options.timeout: must be a duration (such as 250ms, 5s, 30m, 2h or 1d)
p.yaml:8:3 options.spill: spill comes later (this release does not run it yet; remove it)
p.yaml:9:31 options.concurrency.by: Unexpected end of expression
p.yaml:9:41 options.concurrency.limit: must be from 1 to 10000, is 0
p.yaml:12:11 steps[0].type: there is no step decison (did you mean decision?)
p.yaml:13:9 steps[1].id: the id late stands twice, first in line 11
p.yaml:15:22 steps[1].to.a: Expected ")" before end of expression
p.yaml:16:5 steps[1].colour: unknown field colour (known: effect, effect_key, id, label, merge, on_error, output, retry, target_honours_key, timeout, to, type, verify, when)
p.yaml:17:5 steps[2]: id is missing (a short name, unique in the process)
p.yaml:18:12 steps[2].table: there is no table airline (did you mean airlines?)
p.yaml:20:10 steps[2].set: must map names to expressions, is a list
p.yaml:23:17 steps[3].connection: there is no connection dsk (did you mean desk?)
p.yaml:24:13 steps[3].method: must be one of GET, HEAD, OPTIONS, PUT, DELETE, POST, PATCH; is PUSH
p.yaml:25:18 steps[3].path: Syntax error: "b"
p.yaml:26:18 steps[3].retry.max: must be from 0 to 100, is 500
p.yaml:26:32 steps[3].retry.errors[0]: no error class is transient.maybe (did you mean transient.definite?)
p.yaml:28:11 steps[4].type: the step collect comes later
"""


def test_all_faults_of_a_process_are_found_at_once_with_place_and_hint() -> None:
    assert "\n".join(told(parse(FULL_OF_FAULTS).findings)) + "\n" == ALL_ITS_FAULTS


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ("  - {id: a, type: map}", "to is missing"),
        ("  - {id: a, type: decision, if: x}", "then is missing"),
        ("  - {id: a, type: log, message: 1, to: {x: y}}", "unknown field to"),
        ("  - {id: A b, type: stop}", "'A b' is no id"),
        ("  - just text", "must be a map of fields"),
        ("  - {id: a, type: filter, if: [x]}", "must be an expression"),
        ("  - {id: a, type: filter, if: '$foo = 1'}", "nothing is called $foo"),
        ("  - {id: a, type: filter, if: '$eval(x)'}", "$eval is refused"),
        ("  - {id: a, type: map, to: {x: y}, merge: perhaps}", "must be true or false"),
        ("  - {id: a, type: map, to: {x: y}, on_error: shrug}", "must be one of fail_document"),
        ("  - {id: a, type: map, to: {x: y}, output: sideways}", "must be one of replace, keep"),
        ("  - {id: a, type: map, to: {x: y}, output: {info: x}}", "unknown field info"),
        ("  - {id: a, type: map, to: {x: y}, undo: []}", "undo comes later"),
        ("  - {id: a, type: map, to: {x: y}, effect: once}", "belongs to operations"),
        ("  - {id: a, type: set, set: {trigger: x}}", "trigger is what the trigger said"),
        ("  - {id: a, type: raise, code: 'no good'}", "must be letters"),
        ("  - {id: a, type: try, body: [{id: b, type: stop}]}", "needs catch or finally"),
        ("  - {id: a, type: foreach, size: 0, steps: [{id: b, type: stop}]}", "must be from 1"),
        ("  - {id: a, type: foreach, steps: []}", "has no steps"),
        ("  - {id: a, type: http.request}", "connection is missing"),
        ("  - {id: a, type: http.request, connection: warehouse}", "warehouse is of connector sql"),
        ("  - {id: a, type: http.request, connection: desk, path: x}", "path: must begin with /"),
        ("  - {id: a, type: file.read, connection: inbox, path: '${'}", "never closed"),
        (
            "  - {id: a, type: sql.query, connection: warehouse, statement: 'SELECT :x'}",
            ":x has no value",
        ),
        (
            "  - {id: a, type: sql.query, connection: warehouse, statement: 'SELECT ${x}'}",
            "is not replaced here",
        ),
        (
            "  - {id: a, type: sql.upsert, connection: warehouse, table: 'a;b', match: [x]}",
            "is no name of a table",
        ),
        (
            (
                "  - {id: a, type: http.request, connection: desk, method: POST, "
                "retry: {max: 1, errors: [transient.unknown]}}"
            ),
            "must not be retried on transient.unknown",
        ),
        (
            (
                "  - {id: a, type: http.request, connection: desk, method: POST, "
                "target_honours_key: true}"
            ),
            "needs effect_key",
        ),
        (
            (
                "  - id: a\n    type: http.request\n    connection: desk\n    method: POST\n"
                "    verify: {steps: [{id: b, type: http.request, connection: desk, method: POST}], "
                "done_if: 'true'}"
            ),
            "a step of verify must only ask",
        ),
        (
            (
                "  - id: a\n    type: http.request\n    connection: desk\n    method: POST\n"
                "    verify: {steps: [{id: b, type: wait, for: 1h}], done_if: 'true'}"
            ),
            "a step of verify must only ask; wait waits",
        ),
        ("  - {id: a, type: map, to: {n: n}, timeout: 5s}", "timeout belongs to operations"),
        ("  - {id: a, type: wait}", "wait needs either for or until"),
        ("  - {id: a, type: wait, for: 1h, until: due}", "wait needs either for or until"),
        ("  - {id: a, type: await, signal: 'a b'}", "is no name"),
        (
            "  - {id: a, type: http.request, connection: desk, method: POST, verify: {stps: []}}",
            "done_if is missing",
        ),
    ],
)
def test_a_fault_is_told(steps: str, what: str) -> None:
    findings = with_steps(steps).findings
    assert any(what in str(finding) for finding in findings), told(findings)
    assert all(finding.line >= 5 for finding in findings)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("{concurrency: {limit: 2}}", "by is missing"),
        ("{priority: 10}", "must be from 0 to 9"),
        ("{crash_budget: many}", "must be a whole number"),
        ("{hold_for: 5m}", "has no effect without failover: hold"),
        ("{failover: hold, hold_for: 0s}", "must be longer than nothing"),
        ("{isolation: thread}", "must be one of shared, process"),
        ("{on_dead_letter: hold_key}", "hold_key needs a key to hold"),
        ("{overlap: sometimes}", "must be one of allow, queue, skip, replace"),
        ("{overlap: allow, concurrency: {by: flight}}", "contradicts options.concurrency"),
        ("{concurrency: {by: flight, on_park: run}}", "must be one of block, pass"),
        ("{placement: {spread: rack}}", "must be one of node, zone"),
        ("{placement: {zone: [a]}}", "must be a text"),
        ("{share: 0}", "must be from 1 to 100"),
        ("{max_failed: some}", "a number of documents or a share"),
        ("{track: {a: 'x +'}}", "Unexpected end"),
        ("{" + "track: {" + ", ".join(f"k{n}: x" for n in range(17)) + "}}", "track_fields_max"),
        ("[]", "must be a map"),
    ],
)
def test_a_bad_option_is_told(options: str, what: str) -> None:
    findings = with_steps("  - {id: a, type: stop}", options).findings
    assert any(what in str(finding) for finding in findings), told(findings)


def test_a_process_without_trigger_is_started_by_hand() -> None:
    definition = sound(with_steps("  - {id: a, type: stop}"))
    assert (definition.trigger.type, definition.trigger.consumes) == ("manual", False)


def test_an_error_in_a_quoted_expression_counts_the_quote() -> None:
    findings = with_steps('  - {id: a, type: filter, if: "1 + $foo"}').findings
    assert (findings[0].line, findings[0].column) == (5, 36)


def test_a_once_step_without_verify_is_a_warning_not_a_fault() -> None:
    parsed = with_steps("  - {id: a, type: http.request, connection: desk, method: POST}")
    sound(parsed)
    assert "waits for a person" in parsed.warnings[0].what


def test_too_many_steps_are_refused() -> None:
    many = "\n".join(f"  - {{id: s{n}, type: stop}}" for n in range(6))
    text = f"molecule: 1\nprocess: p\nsteps:\n{many}\n"
    findings = parse(text, Limits(steps_per_process_max=5)).findings
    assert [finding.what for finding in findings] == ["more than 5 steps"]
