"""What becomes of documents whose step failed."""

import pytest

from molecule.definition.definition import MaxFailed
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, documents

COMPLETED, FAILED = ExecutionState.COMPLETED, ExecutionState.FAILED
BROKEN = "{id: bad, type: map, when: n = 2, to: {n: $number('x')}%s}"
GIVEN = documents({"n": 1}, {"n": 2}, {"n": 3})


def outcome(
    on_error: str, *, max_failed: MaxFailed | None = None
) -> tuple[Execution, object, list[object]]:
    line = BROKEN % (f", on_error: {on_error}" if on_error else "")
    execution = Execution(a_process(f"steps: [{line}]", max_failed=max_failed), GIVEN)
    finish = execution.run()
    return execution, finish.state, [document.value for document in finish.documents]


def test_a_failed_step_fails_the_execution_by_default() -> None:
    execution, state, _ = outcome("")
    failure = execution.finishes[0].failure
    assert state is FAILED
    assert failure is not None
    assert (failure.step, failure.error_class) == ("bad", "data")


def test_fail_document_keeps_it_as_a_dead_letter_and_the_others_go_on() -> None:
    execution, state, values = outcome("fail_document", max_failed=MaxFailed(1))
    assert (state, values) == (COMPLETED, [{"n": 1}, {"n": 3}])
    assert execution.finishes[0].documents_failed == 1
    assert [value for value, _ in execution.kept.dead_letters] == [{"n": 2}]


def test_more_failed_documents_than_allowed_fail_the_execution() -> None:
    execution, state, _ = outcome("fail_document", max_failed=MaxFailed(0))
    assert (state, execution.finishes[0].reason) == (FAILED, "max_failed")


def test_a_share_of_documents_may_fail() -> None:
    assert outcome("fail_document", max_failed=MaxFailed(percent=50))[1] is COMPLETED
    assert outcome("fail_document", max_failed=MaxFailed(percent=10))[1] is FAILED


def test_dead_letter_keeps_it_without_counting_it_as_failed() -> None:
    execution, state, _ = outcome("dead_letter")
    assert (state, execution.finishes[0].documents_failed) == (COMPLETED, 0)
    assert len(execution.kept.dead_letters) == 1


def test_drop_forgets_it() -> None:
    execution, state, values = outcome("drop")
    assert (state, values) == (COMPLETED, [{"n": 1}, {"n": 3}])
    assert execution.kept.dead_letters == []


def test_continue_hands_the_document_on_with_its_error() -> None:
    execution, state, values = outcome("continue")
    assert (state, values) == (COMPLETED, [{"n": 1}, {"n": 2}, {"n": 3}])
    told = execution.finishes[0].documents[1].properties["error"]
    assert (told["class"], told["step"]) == ("data", "bad")


def test_inside_foreach_a_failed_document_fails_alone() -> None:
    steps = f"steps: [{{id: each, type: foreach, steps: [{BROKEN % ''}]}}]"
    finish = Execution(a_process(steps, max_failed=MaxFailed(5)), GIVEN).run()
    assert (finish.state, finish.documents_failed) == (COMPLETED, 1)
    assert [document.value for document in finish.documents] == [{"n": 1}, {"n": 3}]


def test_more_dead_letters_than_the_bound_fail_the_execution() -> None:
    process = a_process("steps: [{id: bad, type: raise, code: X, on_error: dead_letter}]")
    limits = Execution(process, ()).limits.model_copy(update={"dead_letters_per_execution_max": 2})
    finish = Execution(process, GIVEN, limits=limits).run()
    assert (finish.state, finish.reason) == (FAILED, "dead_letters")


TRY = """
steps:
  - id: safe
    type: try
    body:
      - {id: put, type: target.put}
      - {id: bad, type: raise, code: %s}
    catch:
      - {errors: [NO_STOCK], steps: [{id: told, type: map, to: {code: $error.code, n: n}}]}
      - {errors: [data], steps: [{id: other, type: map, to: {other: n}}]}
    finally: [{id: end, type: target.put}]
"""


def test_a_catch_gets_the_documents_that_came_into_the_try() -> None:
    execution = Execution(a_process(TRY % "NO_STOCK"), documents({"n": 1}))
    finish = execution.run()
    assert (finish.state, finish.documents[0].value) == (COMPLETED, {"code": "NO_STOCK", "n": 1})
    assert execution.target.keys() == ["e1/safe/put/0", "e1/safe/end/0"]


def test_an_error_that_no_catch_names_goes_on_after_finally() -> None:
    execution = Execution(a_process(TRY % "OTHER"), documents({"n": 1}))
    finish = execution.run()
    assert (finish.state, finish.reason) == (FAILED, "OTHER")
    assert execution.target.keys() == ["e1/safe/put/0", "e1/safe/end/0"]


def test_raise_without_a_code_raises_the_caught_error_again() -> None:
    process = a_process("""
steps:
  - id: outer
    type: try
    body:
      - id: inner
        type: try
        body: [{id: bad, type: raise, code: FIRST}]
        catch: [{errors: [FIRST], steps: [{id: again, type: raise}]}]
    catch: [{errors: [FIRST], steps: [{id: told, type: map, to: {code: $error.code}}]}]
""")
    finish = Execution(process, documents({"n": 1})).run()
    assert [document.value for document in finish.documents] == [{"code": "FIRST"}]


@pytest.mark.parametrize("seed", range(6))
def test_a_failing_item_waits_for_the_items_under_way_before_the_catch_begins(seed: int) -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    body:
      - id: each
        type: foreach
        at_once: 4
        steps:
          - {id: put, type: target.put}
          - {id: bad, type: raise, code: STOP, when: n = 2, on_error: fail}
          - {id: tell, type: target.tell}
    catch: [{errors: [STOP], steps: [{id: told, type: map, to: {caught: n}}]}]
""")
    execution = Execution(process, GIVEN, seed=seed)
    finish = execution.run()
    assert finish.state is COMPLETED
    assert [document.value for document in finish.documents] == [
        {"caught": 1},
        {"caught": 2},
        {"caught": 3},
    ]
    assert execution.kept.intents == {}


def test_a_component_that_breaks_its_contract_fails_its_document_only() -> None:
    from molecule.component.config import Config
    from molecule.component.registry import step
    from molecule.component.spec import Spec
    from tests.fakes import target

    @step("test.broken", Spec(summary="Raises.", fields={}))
    class Broken:
        def __init__(self, config: Config) -> None:
            del config

        def process(self, document: object, context: object) -> object:
            raise RuntimeError("no")

    registry = target.registry()
    registry.add(Broken)
    process = a_process("steps: [{id: bad, type: test.broken}]", registry=registry)
    finish = Execution(process, documents({"n": 1})).run()
    assert finish.reason == "broken_component"


def test_a_block_that_fails_deals_with_its_documents_as_its_own_on_error_says() -> None:
    process = a_process(
        """
steps:
  - id: which
    type: decision
    if: n < 3
    on_error: continue
    then: [{id: bad, type: raise, code: X, when: n = 2}]
""",
    )
    finish = Execution(process, GIVEN).run()
    assert [document.value for document in finish.documents] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert finish.documents[0].properties["error"]["code"] == "X"


def test_documents_that_pass_a_failing_block_by_go_on() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    when: n > 1
    on_error: drop
    body: [{id: bad, type: raise, code: X}]
    catch: [{errors: [OTHER], steps: [{id: told, type: log, message: x}]}]
  - {id: none, type: foreach, when: n > 5, steps: [{id: line, type: log, message: x}]}
""")
    finish = Execution(process, GIVEN).run()
    assert [document.value for document in finish.documents] == [{"n": 1}]


def test_a_condition_that_is_neither_true_nor_false_is_an_error_of_its_document() -> None:
    process = a_process("""
steps:
  - {id: line, type: map, when: n, to: {n: n}, on_error: dead_letter}
  - {id: put, type: target.put, when: n, on_error: dead_letter}
""")
    execution = Execution(process, documents({"n": True}, {"n": "x"}))
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"n": True}]
    assert execution.kept.dead_letters == [({"n": "x"}, "data")]


def test_a_list_step_that_fails_fails_for_all_its_documents() -> None:
    process = a_process("steps: [{id: kept, type: filter, if: n, on_error: dead_letter}]")
    execution = Execution(process, GIVEN)
    assert execution.run().documents == ()
    assert len(execution.kept.dead_letters) == 3


def test_output_into_needs_an_object() -> None:
    process = a_process("steps: [{id: read, type: target.put, output: {into: found}}]")
    finish = Execution(process, documents("text")).run()
    assert finish.failure is not None
    assert finish.failure.code == "output"


@pytest.mark.parametrize(
    ("output", "expected"), [("keep", {"n": 1}), ("{into: made}", {"n": 1, "made": {"m": 2}})]
)
def test_the_output_of_a_local_step_may_be_kept_out_or_put_into_a_field(
    output: str, expected: object
) -> None:
    process = a_process(f"steps: [{{id: m, type: map, to: {{m: n + 1}}, output: {output}}}]")
    finish = Execution(process, documents({"n": 1})).run()
    assert [document.value for document in finish.documents] == [expected]
