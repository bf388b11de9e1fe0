"""Blocks that fail, or from which documents were set apart: nothing is lost, nothing done twice."""

from typing import Any

import orjson
import pytest

from molecule.engine import positions
from molecule.engine.instructions import Instruction, PerformRequest
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target

IN_DOUBT = ExecutionState.IN_DOUBT
UNKNOWN, PERMANENT = ErrorClass.TRANSIENT_UNKNOWN, ErrorClass.PERMANENT


def verify(step: str) -> str:
    name = step.rpartition("/")[2]
    return (
        f"verify: {{steps: [{{id: ask-{name}, type: target.ask, of: {step}}}], "
        "done_if: count > 0, not_done_if: count = 0}"
    )


def test_a_block_that_waits_for_what_is_under_way_before_it_fails_survives_a_crash() -> None:
    process = a_process(f"""
steps:
  - id: outer
    type: foreach
    at_once: 2
    size: 2
    steps:
      - id: safe
        type: try
        body:
          - id: each
            type: foreach
            at_once: 2
            steps:
              - {{id: tell, type: target.tell, {verify("outer/safe/each/tell")}}}
              - {{id: more, type: target.tell, {verify("outer/safe/each/more")}}}
              - {{id: bad, type: raise, code: X, when: n = 2, on_error: fail}}
        catch: [{{errors: [X], steps: [{{id: caught, type: map, to: {{caught: n}}}}]}}]
      - {{id: put, type: target.put}}
""")
    given = documents(*({"n": n} for n in range(1, 5)))
    for seed in range(3):
        for point in range(25, 55):
            execution = Execution(process, given, seed=seed, crash=at_points({point}))
            finish = execution.run()
            assert [document.value for document in finish.documents] == [
                {"caught": 1},
                {"caught": 2},
                {"n": 3},
                {"n": 4},
            ]
            keys = execution.target.keys()
            assert len(set(keys)) == len([key for key in keys if "/put/" not in key]) + 4


def test_a_document_that_was_set_apart_reaches_the_catch_around_it() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    body: [{id: tell, type: target.tell}]
    catch: [{steps: [{id: caught, type: map, to: {caught: n}}]}]
  - {id: after, type: target.put}
""")
    target = Target(failures={"safe/tell": [(UNKNOWN, False)]})
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    target.failures["safe/tell"] = [(PERMANENT, False)]
    execution.answer("e1/safe/tell/0", "not_done")
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"caught": 1}, {"n": 2}]
    assert target.step_counts() == {"safe/tell": 1, "after": 2}


def test_a_document_that_was_set_apart_comes_to_finally_once() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    body: [{id: tell, type: target.tell}]
    finally: [{id: close, type: target.tell}]
  - {id: after, type: target.put}
""")
    target = Target(failures={"safe/tell": [(UNKNOWN, True)]})
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    execution.answer("e1/safe/tell/0", "done")
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"n": 1}, {"n": 2}]
    assert target.step_counts() == {"safe/tell": 2, "safe/close": 2, "after": 2}


class AnswerLast(Execution):
    """Questions of `verify` are answered when nothing else is left."""

    def choose(self, choices: list[Instruction]) -> Instruction:
        others = [
            item
            for item in choices
            if not (isinstance(item, PerformRequest) and item.step.type == "target.ask")
        ]
        return (others or choices)[0]


@pytest.mark.parametrize("happened", [True, False])
def test_a_question_under_way_when_its_scope_fails_is_still_answered(happened: bool) -> None:
    process = a_process(f"""
steps:
  - id: safe
    type: try
    body:
      - id: both
        type: parallel
        paths:
          one: [{{id: tell, type: target.tell, {verify("safe/both/tell")}}}]
          two: [{{id: read, type: target.read}}, {{id: bad, type: raise, code: X}}]
    catch: [{{errors: [X], steps: [{{id: caught, type: map, to: {{caught: n}}}}]}}]
""")

    def crash(at: str, item: Instruction) -> bool:
        is_tell = isinstance(item, PerformRequest) and item.step.path == "safe/both/tell"
        return is_tell and at == ("after" if happened else "before") and not execution.finishes

    class Dies(AnswerLast):
        def choose(self, choices: list[Instruction]) -> Instruction:
            found = super().choose(choices)
            sends = [i for i in choices if isinstance(i, PerformRequest) and i.step.id == "tell"]
            return sends[0] if sends else found

    execution = Dies(process, documents({"n": 1}), crash=crash)
    finish = execution.run()
    assert (finish.state, execution.kept.intents) == (ExecutionState.COMPLETED, {})
    assert [document.value for document in finish.documents] == [{"caught": 1}]
    assert execution.target.step_counts() == ({"safe/both/tell": 1} if happened else {})


def test_positions_of_the_version_before_are_read() -> None:
    process = a_process("""
steps:
  - id: which
    type: decision
    if: n = 1
    then: [{id: a, type: target.tell}]
    else: [{id: b, type: target.tell}]
""")
    target = Target(failures={"which/a": [(UNKNOWN, True)]})
    execution = Execution(process, documents({"n": 1}, {"n": 1}, {"n": 2}), target=target)

    def as_before(tree: Any) -> Any:
        if isinstance(tree, list):
            return [as_before(item) for item in tree]
        if not isinstance(tree, dict) or "inline" in tree:
            return tree
        if "waiting" in tree:
            tree["waiting"] = dict(tree["waiting"])
        return {
            name: as_before(item)
            for name, item in tree.items()
            if name not in {"failing", "apart", "copy"}
        }

    execution.crash = at_points({8})
    while True:
        try:
            execution.attempt()
            break
        except BaseException as error:
            if type(error).__name__ != "Crashed":
                raise
            tree = orjson.loads(execution.kept.position)
            assert tree["version"] == positions.VERSION
            execution.kept.position = orjson.dumps({**as_before(tree), "version": 1})
    while execution.finishes[-1].state is IN_DOUBT:
        for key in [key for key, known in execution.kept.intents.items() if not known]:
            execution.answer(key, "done" if key in dict(target.received) else "not_done")
        execution.run()
    assert target.step_counts() == {"which/a": 2, "which/b": 1}
    assert len(execution.finishes[-1].documents) == 3


def test_a_document_in_doubt_in_finally_goes_on_once_when_that_is_known() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    on_error: continue
    body: [{id: shape, type: map, to: {n: n * 10}}]
    finally: [{id: close, type: target.tell}]
  - {id: after, type: target.put}
""")
    for failure in (None, PERMANENT):
        target = Target(failures={"safe/close": [(UNKNOWN, False)]})
        execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
        assert execution.run().state is IN_DOUBT
        assert target.step_counts()["after"] == 1
        target.failures["safe/close"] = [(failure, False)] if failure else []
        execution.answer("e1/safe/close/0", "not_done")
        finish = execution.run()
        assert [document.value for document in finish.documents] == [
            {"n": 1 if failure else 10},
            {"n": 20},
        ]
        assert target.step_counts()["after"] == 2


def test_a_document_that_fails_alone_in_finally_goes_on_nowhere() -> None:
    process = a_process(
        """
steps:
  - id: safe
    type: try
    body: [{id: shape, type: map, to: {n: n * 10}}]
    finally: [{id: close, type: raise, code: X, when: n = 2, on_error: dead_letter}]
"""
    )
    finish = Execution(process, documents({"n": 1}, {"n": 2})).run()
    assert [document.value for document in finish.documents] == [{"n": 10}]


def test_a_document_in_doubt_in_finally_after_a_failure_goes_on_once() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    on_error: continue
    body: [{id: bad, type: raise, code: X}]
    finally: [{id: close, type: target.tell}]
  - {id: after, type: target.tell}
""")
    target = Target(failures={"safe/close": [(UNKNOWN, False)]})
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    execution.answer("e1/safe/close/0", "not_done")
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"n": 1}, {"n": 2}]
    assert target.step_counts() == {"safe/close": 2, "after": 2}
