"""`call` and `return`: another process inside of an execution, through crashes and doubts."""

import pytest

from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target

COMPLETED, FAILED, IN_DOUBT = (
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
    ExecutionState.IN_DOUBT,
)
UNKNOWN = ErrorClass.TRANSIENT_UNKNOWN
VERIFY = (
    "verify: {steps: [{id: ask, type: target.ask, of: %s}], "
    "done_if: count > 0, not_done_if: count = 0}"
)


def values(execution: Execution) -> list[object]:
    return [document.value for document in execution.finishes[-1].documents]


PRICE = f"""
trigger:
  type: called
  input: {{type: object, required: [n]}}
  returns: {{type: object, properties: {{n: {{maximum: 100}}}}}}
steps:
  - {{id: free, type: return, when: n = 0}}
  - {{id: told, type: target.tell, {VERIFY % "price/told"}}}
  - {{id: total, type: map, to: {{n: n * 10}}}}
"""
ORDER = """
steps:
  - {id: price, type: call, process: price}
  - {id: after, type: target.put}
"""


def test_a_called_process_hands_back_what_it_returns_and_what_reaches_its_end() -> None:
    process = a_process(ORDER, called={"price": PRICE})
    execution = Execution(process, documents({"n": 1}, {"n": 0}, {"n": 2}))
    assert execution.run().state is COMPLETED
    assert values(execution) == [{"n": 10}, {"n": 0}, {"n": 20}]
    assert execution.target.step_counts() == {"price/told": 2, "after": 3}


def test_killed_at_any_point_a_called_process_goes_on() -> None:
    process = a_process(ORDER, called={"price": PRICE})
    for point in range(40):
        execution = Execution(
            process, documents({"n": 1}, {"n": 0}, {"n": 2}), crash=at_points({point})
        )
        assert execution.run().state is COMPLETED
        assert values(execution) == [{"n": 10}, {"n": 0}, {"n": 20}]
        assert execution.target.step_counts()["price/told"] == 2


def test_a_doubt_inside_a_called_process_stops_only_its_document() -> None:
    called = PRICE.replace(VERIFY % "price/told", "timeout: 5s")
    process = a_process(ORDER, called={"price": called})
    target = Target(failures={"price/told": [(UNKNOWN, True)]})
    execution = Execution(process, documents({"n": 1}, {"n": 0}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    assert {"e1/after/1", "e1/after/2"} <= set(target.keys())
    execution.answer("e1/price/told/0", "done")
    assert execution.run().state is COMPLETED
    assert values(execution) == [{"n": 10}, {"n": 0}, {"n": 20}]
    assert target.step_counts() == {"price/told": 2, "after": 3}


@pytest.mark.parametrize(
    ("value", "step"), [({"m": 1}, "price/input-schema"), ({"n": 11}, "price/returns-schema")]
)
def test_what_does_not_fit_the_schemas_fails_the_call(value: object, step: str) -> None:
    process = a_process(ORDER, called={"price": PRICE})
    finish = Execution(process, documents(value)).run()
    assert finish.failure is not None
    assert (finish.state, finish.failure.code, finish.failure.step) == (FAILED, "invalid", step)


def test_a_failure_inside_is_caught_by_the_caller() -> None:
    process = a_process(
        """
steps:
  - id: safe
    type: try
    body: [{id: it, type: call, process: bad}]
    catch: [{errors: [NO], steps: [{id: caught, type: map, to: {caught: n}}]}]
""",
        called={
            "bad": """
trigger: {type: called}
steps:
  - {id: early, type: return, when: n = 1}
  - {id: no, type: raise, code: "NO"}
"""
        },
    )
    execution = Execution(process, documents({"n": 1}, {"n": 2}))
    execution.run()
    # The call failed as a whole, so what it had handed back is caught with the rest.
    assert values(execution) == [{"caught": 1}, {"caught": 2}]


def test_what_was_handed_back_is_not_caught_inside_the_called_process() -> None:
    process = a_process(
        ORDER,
        called={
            "price": """
trigger: {type: called}
steps:
  - id: safe
    type: try
    body:
      - {id: early, type: return, when: n = 1}
      - {id: no, type: raise, code: "NO"}
    catch: [{steps: [{id: caught, type: map, to: {caught: n}}]}]
"""
        },
    )
    execution = Execution(process, documents({"n": 1}, {"n": 2}))
    execution.run()
    assert values(execution) == [{"n": 1}, {"caught": 2}]
    assert execution.target.step_counts() == {"after": 2}


def test_an_error_caught_by_the_caller_is_not_seen_inside() -> None:
    process = a_process(
        """
steps:
  - id: safe
    type: try
    body: [{id: bad, type: raise, code: X}]
    catch: [{steps: [{id: it, type: call, process: again}]}]
""",
        called={"again": "trigger: {type: called}\nsteps: [{id: a, type: raise}]\n"},
    )
    finish = Execution(process, documents({"n": 1})).run()
    assert finish.failure is not None
    assert "outside of a catch" in finish.failure.message


def test_return_outside_of_a_call_hands_back_results_of_the_execution() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    steps: [{id: early, type: return, when: n > 1}, {id: put, type: target.put}]
  - {id: tell, type: target.tell, verify: {steps: [{id: ask, type: target.ask, of: tell}],
     done_if: count > 0, not_done_if: count = 0}}
""")
    for point in (999, *range(12)):
        execution = Execution(
            process, documents({"n": 1}, {"n": 2}, {"n": 0}), crash=at_points({point})
        )
        assert execution.run().state is COMPLETED
        assert values(execution) == [{"n": 1}, {"n": 2}, {"n": 0}]
        assert execution.target.step_counts()["tell"] == 2
