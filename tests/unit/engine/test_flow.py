"""How documents go through steps and blocks."""

import pytest

from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target

COMPLETED = ExecutionState.COMPLETED


def values(execution: Execution) -> list[object]:
    return [document.value for document in execution.run().documents]


def test_documents_go_from_step_to_step() -> None:
    process = a_process("""
steps:
  - {id: one, type: map, to: {n: n + 1}}
  - {id: two, type: map, to: {n: n * 10}}
""")
    assert values(Execution(process, documents({"n": 1}, {"n": 2}))) == [{"n": 20}, {"n": 30}]


def test_a_document_for_which_when_is_false_passes_the_step_unchanged() -> None:
    process = a_process("steps: [{id: one, type: map, when: n > 1, to: {n: n * 10}}]")
    assert values(Execution(process, documents({"n": 1}, {"n": 2}))) == [{"n": 1}, {"n": 20}]


def test_an_empty_list_runs_no_further_step() -> None:
    process = a_process("""
steps:
  - {id: none, type: filter, if: n > 9}
  - {id: after, type: map, to: {n: n}}
""")
    execution = Execution(process, documents({"n": 1}))
    assert values(execution) == []
    assert execution.ran == {"none": 1}


def test_a_decision_hands_on_both_paths_in_input_order() -> None:
    process = a_process("""
steps:
  - id: which
    type: decision
    if: n > 2
    then: [{id: big, type: map, to: {big: n}}]
    else: [{id: small, type: map, to: {small: n}}]
""")
    given = documents({"n": 3}, {"n": 1}, {"n": 4})
    assert values(Execution(process, given)) == [{"big": 3}, {"small": 1}, {"big": 4}]


def test_a_decision_without_else_lets_the_others_pass_unchanged() -> None:
    process = a_process("""
steps: [{id: which, type: decision, if: n > 2, then: [{id: big, type: map, to: {big: n}}]}]
""")
    assert values(Execution(process, documents({"n": 1}, {"n": 3}))) == [{"n": 1}, {"big": 3}]


def test_stop_ends_the_way_of_its_documents_only() -> None:
    process = a_process("""
steps: [{id: which, type: decision, if: n > 2, then: [{id: end, type: stop}]}]
""")
    assert values(Execution(process, documents({"n": 3}, {"n": 1}))) == [{"n": 1}]


def test_stop_of_the_execution_completes_it_and_drops_the_rest() -> None:
    process = a_process("""
steps:
  - {id: which, type: decision, if: n > 2, then: [{id: end, type: stop, what: execution}]}
  - {id: tell, type: target.tell, on_error: fail}
""")
    execution = Execution(process, documents({"n": 3}, {"n": 1}))
    finish = execution.run()
    assert (finish.state, finish.documents) == (COMPLETED, ())
    assert execution.target.received == []


def test_foreach_runs_few_at_once_and_hands_on_in_input_order() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    at_once: 3
    steps:
      - {id: put, type: target.put}
      - {id: line, type: map, to: {n: n * 10}}
""")
    given = documents(*({"n": n} for n in range(8)))
    execution = Execution(process, given, seed=5)
    assert values(execution) == [{"n": n * 10} for n in range(8)]
    assert execution.most_at_once == 3
    assert sorted(execution.target.keys()) == [f"e1/each/put/{n}" for n in range(8)]


def test_foreach_takes_batches_of_its_size() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    size: 3
    steps: [{id: kept, type: filter, if: n != 4}]
""")
    execution = Execution(process, documents(*({"n": n} for n in range(7))))
    assert values(execution) == [{"n": n} for n in (0, 1, 2, 3, 5, 6)]
    assert execution.ran == {"each/kept": 3}


def test_the_output_of_an_operation_replaces_enriches_or_leaves_the_document() -> None:
    process = a_process("""
steps:
  - {id: looked, type: target.read, output: {into: found}}
  - {id: sent, type: target.put}
  - {id: again, type: target.read}
""")
    finish = Execution(process, documents({"n": 1})).run()
    assert [(d.id, d.value) for d in finish.documents] == [
        ("0.0", {"n": 1, "found": {"n": 1, "seen": 1}, "seen": 2})
    ]


def test_what_descends_from_a_split_document_sees_its_parent() -> None:
    process = a_process("""
steps:
  - {id: read, type: target.read}
  - {id: shape, type: map, to: {was: $parent.n, now: seen}}
""")
    assert values(Execution(process, documents({"n": 7}))) == [{"was": 7, "now": 1}]


def test_two_documents_of_one_id_are_refused() -> None:
    process = a_process("steps: [{id: one, type: map, to: {n: n}}]")
    twice = documents({"n": 1}) * 2
    finish = Execution(process, twice).run()
    assert (finish.state, finish.reason) == (ExecutionState.FAILED, "duplicate_document")


def test_the_timeline_tells_each_step_with_its_documents() -> None:
    process = a_process("""
steps:
  - {id: kept, type: filter, if: n > 1}
  - {id: put, type: target.put}
""")
    execution = Execution(process, documents({"n": 1}, {"n": 2}))
    execution.run()
    told = [
        (note.step, note.type, note.documents_in, note.documents_out, note.detail)
        for note in execution.kept.notes
    ]
    assert told == [("kept", "filter", 2, 1, ""), ("put", "target.put", 1, 1, "taken")]


def test_the_timeline_is_bounded() -> None:
    limits = Execution(a_process("steps: [{id: a, type: log, message: x}]"), ()).limits
    few = limits.model_copy(update={"timeline_rows_per_execution_max": 3})
    process = a_process("""
steps: [{id: each, type: foreach, steps: [{id: line, type: map, to: {n: n}}]}]
""")
    execution = Execution(process, documents(*({"n": n} for n in range(9))), limits=few)
    assert execution.run().state is COMPLETED
    assert len(execution.kept.notes) == 3


def test_the_same_process_gives_the_same_result_in_any_order_of_answers() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    at_once: 4
    steps: [{id: put, type: target.put}, {id: tell, type: target.tell}]
""")
    given = documents(*({"n": n} for n in range(6)))
    found = []
    for seed in range(5):
        execution = Execution(process, given, seed=seed, target=Target())
        found.append((values(execution), sorted(execution.target.keys())))
    assert all(item == found[0] for item in found)


UNORDERED = """
steps:
  - id: each
    type: foreach
    at_once: 2
    ordered: %s
    steps: [{id: rest, type: wait, for: 1h, when: n = 1}]
  - {id: put, type: target.put}
"""


@pytest.mark.parametrize(("ordered", "order"), [("true", [1, 2, 3]), ("false", [2, 3, 1])])
def test_foreach_hands_on_as_its_rounds_end_when_it_is_not_ordered(
    ordered: str, order: list[int]
) -> None:
    execution = Execution(a_process(UNORDERED % ordered), documents({"n": 1}, {"n": 2}, {"n": 3}))
    finish = execution.run()
    assert [document.value["n"] for document in finish.documents] == order
    assert execution.target.keys() == [f"e1/put/{n - 1}" for n in order]


def test_an_unordered_foreach_loses_and_doubles_nothing_whatever_the_crashes() -> None:
    for seed in range(20):
        execution = Execution(
            a_process(UNORDERED % "false"),
            documents({"n": 1}, {"n": 2}, {"n": 3}),
            crash=at_points(range(seed, 200, 5)),
            seed=seed,
        )
        finish = execution.run()
        assert sorted(document.value["n"] for document in finish.documents) == [1, 2, 3]
