"""How documents go through `route`, `validate`, `split`, `combine` and `assert`."""

from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents


def values(execution: Execution) -> list[object]:
    return [document.value for document in execution.run().documents]


ROUTE = """
steps:
  - id: which
    type: route
    by: kind
    paths:
      a: {is: a, steps: [{id: one, type: target.put}, {id: two, type: map, to: {a: n}}]}
      b: {is: b, steps: [{id: three, type: target.put}, {id: four, type: map, to: {b: n}}]}
"""


def test_a_route_hands_on_all_paths_in_input_order() -> None:
    given = documents(*({"kind": kind, "n": n} for n, kind in enumerate("bacab")))
    execution = Execution(a_process(ROUTE), given)
    assert values(execution) == [{"b": 0}, {"a": 1}, {"kind": "c", "n": 2}, {"a": 3}, {"b": 4}]


def test_a_route_resumes_in_the_path_where_it_was() -> None:
    given = documents(*({"kind": kind, "n": n} for n, kind in enumerate("ab")))
    calm = values(Execution(a_process(ROUTE), given))
    for point in range(20):
        execution = Execution(a_process(ROUTE), given, crash=at_points({point}))
        assert values(execution) == calm
        assert set(execution.target.keys()) == {"e1/which/one/0", "e1/which/three/1"}


VALIDATE = """
steps:
  - id: check
    type: validate
    rules: [{name: small, that: n < 2}]
    rejected: [{id: note, type: target.put, body: $properties.error.reasons.rule}]
  - {id: after, type: target.put}
"""


def test_validate_hands_on_the_accepted_only() -> None:
    execution = Execution(a_process(VALIDATE), documents({"n": 1}, {"n": 2}))
    assert values(execution) == [{"n": 1}]
    assert execution.target.received == [
        ("e1/check/note/1", b'"small"'),
        ("e1/after/0", b'{"n":1}'),
    ]


def test_without_rejected_an_invalid_document_is_what_on_error_says() -> None:
    process = a_process("""
steps:
  - {id: check, type: validate, rules: [{name: small, that: n < 2}], on_error: continue}
""")
    found = Execution(process, documents({"n": 1}, {"n": 2})).run()
    assert [document.properties.get("error", {}).get("code") for document in found.documents] == [
        None,
        "invalid",
    ]


def test_parts_of_a_split_see_their_whole_also_after_a_crash() -> None:
    process = a_process("""
steps:
  - {id: parts, type: split, path: lines}
  - {id: put, type: target.put, body: "{'line': $, 'order': $parent.order}"}
  - {id: whole, type: combine, by: $string($parent.order)}
""")
    given = documents({"order": 1, "lines": ["a", "b"]}, {"order": 2, "lines": ["c"]})
    for point in (999, 2, 4, 6, 8):
        execution = Execution(process, given, crash=at_points({point}))
        assert values(execution) == [["a", "b"], ["c"]]
        assert execution.target.step_counts().keys() == {"put"}
        assert dict(execution.target.received)["e1/put/1.0"] == b'{"line":"c","order":2}'


def test_an_assertion_that_does_not_hold_fails_the_execution_with_evidence() -> None:
    process = a_process("steps: [{id: sum, type: assert, together: '$sum($.n) = 4'}]")
    finish = Execution(process, documents({"n": 1}, {"n": 2})).run()
    assert finish.state is ExecutionState.FAILED
    assert finish.failure is not None
    assert (finish.failure.code, finish.failure.step) == ("assert", "sum")
    assert '{"n":1}, {"n":2}' in finish.failure.message


def test_a_list_step_sees_of_each_document_what_belongs_to_it() -> None:
    process = a_process("""
steps:
  - {id: parts, type: split, path: lines}
  - {id: keep, type: filter, if: $ != $parent.not}
""")
    given = documents({"not": "a", "lines": ["a", "b"]}, {"not": "b", "lines": ["a", "b"]})
    assert values(Execution(process, given)) == ["b", "a"]
