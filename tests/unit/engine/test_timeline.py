"""The timeline, kind by kind: every type of step has its line, whatever it does with documents."""

from typing import Any, Final

import pytest

from molecule.component.registry import discover
from molecule.engine.instructions import StepNote
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import NOW_MS, Execution, a_process, at_points, documents
from tests.fakes.target import Target

Line = tuple[str, int, int, str]
"""Type, documents in, documents out, code of the error."""

LOG: Final = "[{id: x, type: log, message: x}]"
OTHER: Final = "[{id: y, type: log, message: y}]"
STORIES: Final[dict[str, tuple[str, Line]]] = {
    "assert": ("{id: it, type: assert, that: n >= 0}", ("assert", 2, 2, "")),
    "await": (
        "{id: it, type: await, signal: go, timeout: 1m, on_error: continue}",
        ("await", 2, 2, "await_timeout"),
    ),
    "branch": (f"{{id: it, type: branch, paths: {{a: {LOG}, b: {OTHER}}}}}", ("branch", 2, 2, "")),
    "call": ("{id: it, type: call, process: double}", ("call", 2, 2, "")),
    "combine": ("{id: it, type: combine, by: $string($count($))}", ("combine", 2, 1, "")),
    "decision": (f"{{id: it, type: decision, if: n > 0, then: {LOG}}}", ("decision", 2, 2, "")),
    "filter": ("{id: it, type: filter, if: n > 0}", ("filter", 2, 1, "")),
    "foreach": (f"{{id: it, type: foreach, steps: {LOG}}}", ("foreach", 2, 2, "")),
    "log": ("{id: it, type: log, message: x}", ("log", 2, 2, "")),
    "lookup": (
        "{id: it, type: lookup, table: names, by: $string(n), set: {name: name}}",
        ("lookup", 2, 2, ""),
    ),
    "map": ("{id: it, type: map, to: {m: n}}", ("map", 2, 2, "")),
    "message": ("{id: it, type: message, value: {m: '${n}'}}", ("message", 2, 2, "")),
    "parallel": (
        f"{{id: it, type: parallel, paths: {{a: {LOG}, b: {OTHER}}}}}",
        ("parallel", 2, 2, ""),
    ),
    "raise": ("{id: it, type: raise, code: NO_STOCK, message: x}", ("raise", 2, 0, "NO_STOCK")),
    "respond": ("{id: it, type: respond, status: 201}", ("respond", 2, 2, "")),
    "return": ("{id: it, type: return, when: n > 0}", ("return", 1, 1, "")),
    "route": (
        f"{{id: it, type: route, by: $string(n), paths: {{a: {{is: '0', steps: {LOG}}}}}}}",
        ("route", 2, 2, ""),
    ),
    "set": ("{id: it, type: set, set: {m: '1'}}", ("set", 2, 2, "")),
    "split": ("{id: it, type: split, path: lines}", ("split", 2, 4, "")),
    "stop": ("{id: it, type: stop}", ("stop", 2, 0, "")),
    "try": (f"{{id: it, type: try, body: {LOG}, finally: {OTHER}}}", ("try", 2, 2, "")),
    "validate": (
        f"{{id: it, type: validate, rules: [{{name: r, that: n > 0}}], rejected: {LOG}}}",
        ("validate", 2, 2, ""),
    ),
    "wait": ("{id: it, type: wait, for: 1m}", ("wait", 2, 2, "")),
    "operation": ("{id: it, type: target.put}", ("target.put", 2, 2, "")),
}
DOUBLE: Final = "trigger: {type: called}\nsteps: [{id: twice, type: map, to: {n: n * 2}}]\n"


def play(steps: str, **options: Any) -> Execution:
    process = a_process(
        f"steps:\n  - {steps}\n",
        called={"double": DOUBLE},
        tables={"names": "n,name\n0,zero\n1,one\n"},
    )
    given = documents({"n": 0, "lines": [1, 2]}, {"n": 1, "lines": [3, 4]})
    execution = Execution(process, given, **options)
    execution.run()
    return execution


def lines(execution: Execution, step: str = "it") -> list[StepNote]:
    return [note for note in execution.kept.notes if note.step == step]


@pytest.mark.parametrize("name", STORIES)
def test_a_step_of_each_type_has_one_line(name: str) -> None:
    steps, told = STORIES[name]
    (note,) = lines(play(steps))
    assert (note.type, note.documents_in, note.documents_out, note.error_code) == told
    assert note.started_at_ms >= NOW_MS
    assert note.duration_us >= 0
    assert bool(note.error) == bool(note.error_code)


def test_every_type_has_its_story() -> None:
    """Operations differ in what they send, not in what is told of them."""
    types = {
        found.type for found in discover(extensions=False).components() if found.kind == "step"
    }
    assert types == set(STORIES) - {"operation"}


def test_a_block_is_told_behind_what_is_inside_with_all_its_time() -> None:
    execution = play("{id: it, type: foreach, steps: [{id: pause, type: wait, for: 1h}]}")
    told = [note.step for note in execution.kept.notes]
    assert told == ["it/pause", "it/pause", "it"]
    (block,) = lines(execution)
    assert block.duration_us >= 2 * 3_600_000_000
    assert block.started_at_ms < NOW_MS + 3_600_000


def test_a_line_tells_of_all_attempts_of_its_step() -> None:
    """When it began and its first error survive the owner that knew them."""
    target = Target(failures={"it": [(ErrorClass.DATA, False)]})
    calm = play("{id: it, type: target.tell, on_error: continue}", target=target)
    (first,) = lines(calm)
    assert first.error_code == "data"
    for point in range(3, 12):
        target = Target(failures={"it": [(ErrorClass.DATA, False)]})
        execution = play(
            "{id: it, type: target.tell, on_error: continue}",
            target=target,
            crash=at_points({point}),
        )
        (note,) = lines(execution)
        assert note.started_at_ms >= NOW_MS, point


def test_a_when_that_fails_is_told_with_its_error() -> None:
    (note,) = lines(
        play("{id: it, type: log, message: x, when: $error('bad'), on_error: continue}")
    )
    assert (note.documents_in, note.documents_out) == (2, 0)
    assert note.error_code
    assert "bad" in note.error


def test_a_block_that_fails_says_by_what() -> None:
    no = "[{id: no, type: raise, code: NO_STOCK, message: x}]"
    execution = play(f"{{id: it, type: try, body: {no}, finally: {LOG}}}")
    assert execution.finishes[-1].state is ExecutionState.FAILED
    told = [(note.step, note.documents_out, note.error_code) for note in execution.kept.notes]
    assert told == [("it/no", 0, "NO_STOCK"), ("it/x", 2, ""), ("it", 0, "NO_STOCK")]
