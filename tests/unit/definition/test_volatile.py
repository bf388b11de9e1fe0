"""What a volatile process must not have is told at once, each fault at its place."""

import pytest

from molecule.definition.package import build
from tests.unit.definition.builders import REGISTRY, parse, sound, told, with_steps

OPTIONS = "{durability: volatile, timeout: 5s}"
READS = "  [{id: ask, type: http.request, connection: desk, path: /a}]"


def built(files: dict[str, str]) -> list[str]:
    encoded = {path: text.encode() for path, text in files.items()}
    return told(build(encoded, "dev", REGISTRY).findings)


def test_a_process_that_only_reads_may_be_volatile() -> None:
    definition = sound(with_steps(READS, OPTIONS))
    assert definition.options.durability == "volatile"
    assert sound(with_steps(READS)).options.durability == "durable"


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            "{id: ask, type: http.request, connection: desk, method: POST, path: /a}",
            "step ask (http.request): has the effect once",
        ),
        (
            "{id: ask, type: http.request, connection: desk, method: PUT, path: /a}",
            "step ask (http.request): has the effect idempotent",
        ),
        ("{id: row, type: table.get, table: t, key: a}", "step row (table.get): goes through"),
        ("{id: rest, type: wait, for: 1s}", "step rest (wait): waits"),
        ("{id: rest, type: await, signal: a}", "step rest (await): waits"),
        (
            "{id: ask, type: http.request, connection: desk, path: /a, on_error: dead_letter}",
            "step ask (http.request): on_error: dead_letter keeps",
        ),
    ],
)
def test_a_step_that_leaves_or_keeps_something_is_refused(step: str, fault: str) -> None:
    found = told(with_steps(f"  [{step}]", OPTIONS).findings)
    assert [fault in each for each in found] == [True], found


@pytest.mark.parametrize(
    "block",
    [
        "{id: b, type: decision, if: 'true', then: [STEP]}",
        "{id: b, type: foreach, steps: [STEP]}",
        "{id: b, type: branch, paths: {one: [STEP]}}",
        "{id: b, type: parallel, wait_for: all, paths: {one: [STEP]}}",
        "{id: b, type: route, by: a, paths: {one: {is: x, steps: [STEP]}}}",
        "{id: b, type: try, body: [{id: l, type: log, message: a}], catch: [{steps: [STEP]}]}",
    ],
)
def test_a_step_is_refused_however_deep_it_stands(block: str) -> None:
    step = "{id: ask, type: http.request, connection: desk, method: POST, path: /a}"
    found = told(with_steps(f"  [{block.replace('STEP', step)}]", OPTIONS).findings)
    assert any("step b/ask (http.request): has the effect once" in each for each in found), found


def test_a_step_of_a_called_process_is_told_where_the_option_stands() -> None:
    files = {
        "processes/a.yaml": (
            "molecule: 1\nprocess: a\noptions: {durability: volatile}\n"
            "steps: [{id: c, type: call, process: b}]\n"
        ),
        "processes/b.yaml": (
            "molecule: 1\nprocess: b\ntrigger: {type: called}\n"
            "steps: [{id: ask, type: http.request, connection: d, method: POST, path: /a}]\n"
        ),
        "connections/d.yaml": "connection: d\nconnector: http\n",
        "environments/dev.yaml": "environment: dev\nconnections: {d: {base_url: 'http://d'}}\n",
    }
    found = told(
        build({path: text.encode() for path, text in files.items()}, "dev", REGISTRY).findings
    )
    assert len(found) == 1
    assert found[0].startswith("processes/a.yaml:3:")
    assert "step c/ask (http.request): has the effect once" in found[0]


@pytest.mark.parametrize(
    "option",
    [
        "failover: resume",
        "isolation: process",
        "concurrency: {by: a}",
        "overlap: allow",
        "priority: 3",
        "share: 2",
        "placement: {zone: a}",
        "expires: 10m",
        "dedup_window: 1h",
        "crash_budget: 1",
        "max_failed: 1",
        "track: {a: b}",
    ],
)
def test_an_option_that_needs_a_record_is_refused(option: str) -> None:
    found = told(with_steps(READS, f"{{durability: volatile, {option}}}").findings)
    name = option.partition(":")[0]
    assert any(f"options.{name}: has no effect with durability: volatile" in one for one in found)


@pytest.mark.parametrize(
    ("trigger", "fault"),
    [
        ("{type: schedule, every: 1s}", "trigger: schedule starts executions that nobody waits"),
        ("{type: http.listen, path: /a, reply: accepted}", "trigger.reply: must be result"),
        ("{type: http.listen, path: /a, dedup: b}", "trigger.dedup: has no effect"),
    ],
)
def test_a_trigger_whose_caller_does_not_wait_is_refused(trigger: str, fault: str) -> None:
    text = f"molecule: 1\nprocess: p\ntrigger: {trigger}\noptions: {OPTIONS}\nsteps: {READS}\n"
    found = told(parse(text).findings)
    assert any(fault in each for each in found), found


def test_a_connection_with_a_breaker_is_refused() -> None:
    files = {
        "processes/a.yaml": (
            "molecule: 1\nprocess: a\noptions: {durability: volatile}\n"
            "steps: [{id: ask, type: http.request, connection: d, path: /a}]\n"
        ),
        "connections/d.yaml": (
            "connection: d\nconnector: http\nbreaker: {failures: 3, within: 60s, open: 2s}\n"
        ),
        "environments/dev.yaml": "environment: dev\nconnections: {d: {base_url: 'http://d'}}\n",
    }
    found = told(
        build({path: text.encode() for path, text in files.items()}, "dev", REGISTRY).findings
    )
    assert len(found) == 1
    assert "the connection d has a breaker or a rate" in found[0]
