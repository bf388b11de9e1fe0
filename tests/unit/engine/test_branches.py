"""`branch` and `parallel`: the same documents down several paths, through crashes and doubts."""

import pytest

from molecule.engine.instructions import Instruction, PerformRequest
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, at_points, documents
from tests.fakes.target import Target

COMPLETED, FAILED, IN_DOUBT = (
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
    ExecutionState.IN_DOUBT,
)
UNKNOWN, PERMANENT = ErrorClass.TRANSIENT_UNKNOWN, ErrorClass.PERMANENT
VERIFY = (
    "verify: {steps: [{id: ask-%s, type: target.ask, of: all/%s}], "
    "done_if: count > 0, not_done_if: count = 0}"
)


def tell(name: str) -> str:
    return f"{{id: {name}, type: target.tell, {VERIFY % (name, name)}}}"


def two(kind: str, *, more: str = "", verify: bool = True) -> str:
    """Two `once` effects per path, then one behind the block."""
    steps = {
        name: tell(name) if verify else f"{{id: {name}, type: target.tell}}" for name in "abcd"
    }
    return f"""
steps:
  - id: all
    type: {kind}
    {more}
    paths:
      one: [{steps["a"]}, {{id: shape, type: map, to: {{n: n * 10}}}}, {steps["b"]}]
      two: [{steps["c"]}, {steps["d"]}]
  - {{id: after, type: target.put}}
"""


def values(execution: Execution) -> list[object]:
    return [document.value for document in execution.finishes[-1].documents]


@pytest.mark.parametrize("kind", ["branch", "parallel"])
def test_the_documents_that_came_in_go_on_in_their_order(kind: str) -> None:
    execution = Execution(a_process(two(kind)), documents({"n": 1}, {"n": 2}))
    assert execution.run().state is COMPLETED
    assert values(execution) == [{"n": 1}, {"n": 2}]
    assert execution.target.step_counts() == dict.fromkeys(
        ("all/a", "all/b", "all/c", "all/d", "after"), 2
    )
    assert execution.most_at_once == (1 if kind == "branch" else 2)


def test_a_branch_begins_a_path_when_the_one_before_has_ended() -> None:
    execution = Execution(a_process(two("branch")), documents({"n": 1}))
    execution.run()
    assert [key.split("/0")[0] for key, _ in execution.target.received] == [
        "e1/all/a",
        "e1/all/b",
        "e1/all/c",
        "e1/all/d",
        "e1/after",
    ]


@pytest.mark.parametrize("kind", ["branch", "parallel"])
def test_take_hands_on_what_one_path_handed_on(kind: str) -> None:
    process = a_process(two(kind, more="take: one\n    when: n < 3"))
    execution = Execution(process, documents({"n": 3}, {"n": 1}, {"n": 2}))
    execution.run()
    assert values(execution) == [{"n": 3}, {"n": 10}, {"n": 20}]


@pytest.mark.parametrize("kind", ["branch", "parallel"])
def test_killed_at_any_point_each_effect_is_seen_once(kind: str) -> None:
    process = a_process(two(kind))
    for seed in range(3):
        for point in range(45):
            execution = Execution(
                process, documents({"n": 1}, {"n": 2}), crash=at_points({point}), seed=seed
            )
            assert execution.run().state is COMPLETED
            assert values(execution) == [{"n": 1}, {"n": 2}]
            counts = execution.target.step_counts()
            assert {name: counts[f"all/{name}"] for name in "abcd"} == dict.fromkeys("abcd", 2)
            assert set(execution.target.keys()) >= {"e1/after/0", "e1/after/1"}


def test_one_path_in_doubt_lets_the_other_go_on_and_waits_before_what_follows() -> None:
    target = Target(failures={"all/a": [(UNKNOWN, True)]})
    process = a_process(two("parallel", verify=False))
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    assert sorted(target.keys()) == [
        "e1/after/1",
        "e1/all/a/0",
        "e1/all/a/1",
        "e1/all/b/1",
        "e1/all/c/0",
        "e1/all/c/1",
        "e1/all/d/0",
        "e1/all/d/1",
    ]
    execution.answer("e1/all/a/0", "done")
    assert execution.run().state is COMPLETED
    assert values(execution) == [{"n": 1}, {"n": 2}]
    assert set(target.step_counts().values()) == {2}


@pytest.mark.parametrize("kind", ["branch", "parallel"])
@pytest.mark.parametrize("take", ["", "take: one", "take: two"])
def test_a_document_in_doubt_in_several_paths_goes_on_once(kind: str, take: str) -> None:
    calm = Execution(a_process(two(kind, more=take)), documents({"n": 1}, {"n": 2}))
    calm.run()
    for seed in range(5):
        failures = {f"all/{name}": [(UNKNOWN, name in "ad")] for name in "abcd"}
        execution = Execution(
            a_process(two(kind, more=take, verify=False)),
            documents({"n": 1}, {"n": 2}),
            target=Target(failures=failures),
            seed=seed,
        )
        while execution.run().state is IN_DOUBT:
            for key, known in list(execution.kept.intents.items()):
                if known == "":
                    done = key in {sent for sent, _ in execution.target.received}
                    execution.answer(key, "done" if done else "not_done")
                    break  # one answer at a time: the other doubts stay
        assert execution.finishes[-1].state is COMPLETED
        assert values(execution) == values(calm)
        assert sorted(execution.target.keys()) == sorted(calm.target.keys())


def test_parts_of_one_document_in_doubt_come_together_again() -> None:
    process = a_process("""
steps:
  - id: all
    type: branch
    paths:
      parts:
        - {id: split, type: split, path: lines}
        - {id: a, type: target.tell}
      whole: [{id: b, type: target.tell}]
  - {id: after, type: target.put}
""")
    given = documents({"lines": [1, 2, 3]}, {"lines": [4]})
    target = Target(failures={"all/a": [(UNKNOWN, True), (UNKNOWN, False)]})
    execution = Execution(process, given, target=target)
    assert execution.run().state is IN_DOUBT
    assert "e1/all/b/0" not in dict(target.received)
    execution.answer("e1/all/a/0.0", "done")
    assert execution.run().state is IN_DOUBT
    assert "e1/all/b/0" not in dict(target.received)
    execution.answer("e1/all/a/0.1", "not_done")
    assert execution.run().state is COMPLETED
    assert len(values(execution)) == 2
    assert target.step_counts() == {"all/a": 4, "all/b": 2, "after": 2}


class LastFirst(Execution):
    """What begins in path `two` ends before anything of path `one` does."""

    def choose(self, choices: list[Instruction]) -> Instruction:
        slow = [
            item
            for item in choices
            if isinstance(item, PerformRequest) and item.step.path == "all/a"
        ]
        return next((item for item in choices if item not in slow), choices[0])


def test_wait_for_any_leaves_the_other_paths_where_they_are() -> None:
    process = a_process(two("parallel", more="wait_for: any"))
    execution = LastFirst(process, documents({"n": 1}))
    assert execution.run().state is COMPLETED
    assert values(execution) == [{"n": 1}]
    # What was sent was waited for; nothing more began in that path.
    assert execution.target.step_counts() == {
        "all/c": 1,
        "all/d": 1,
        "all/a": 1,
        "after": 1,
    }


def test_wait_for_any_survives_a_crash_at_any_point() -> None:
    process = a_process(two("parallel", more="wait_for: any"))
    for seed in range(4):
        for point in range(40):
            execution = Execution(
                process, documents({"n": 1}, {"n": 2}), crash=at_points({point}), seed=seed
            )
            assert execution.run().state is COMPLETED
            assert values(execution) == [{"n": 1}, {"n": 2}]
            assert max(execution.target.step_counts().values()) == 2
            assert execution.kept.intents == {}


def test_a_path_may_fail_while_enough_others_can_end() -> None:
    target = Target(failures={"all/a": [(PERMANENT, False)]})
    process = a_process(two("parallel", more="wait_for: 1"))
    execution = Execution(process, documents({"n": 1}), target=target)
    assert execution.run().state is COMPLETED
    assert target.step_counts() == {"all/c": 1, "all/d": 1, "after": 1}


def test_when_too_many_paths_fail_the_step_fails() -> None:
    target = Target(failures={"all/a": [(PERMANENT, False)], "all/c": [(PERMANENT, False)]})
    execution = Execution(
        a_process(two("parallel", more="wait_for: 1")), documents({"n": 1}), target=target
    )
    finish = execution.run()
    assert (finish.state, finish.step) in [(FAILED, "all/a"), (FAILED, "all/c")]


@pytest.mark.parametrize("kind", ["branch", "parallel"])
def test_a_failing_path_fails_the_step_and_on_error_is_obeyed(kind: str) -> None:
    target = Target(failures={"all/a": [(PERMANENT, False)]})
    process = a_process(two(kind, more="on_error: continue"))
    execution = Execution(process, documents({"n": 1}), target=target)
    (document,) = execution.run().documents
    assert document.properties["error"]["step"] == "all/a"
    assert "all/b" not in target.step_counts()
    assert target.step_counts()["after"] == 1


def test_a_failing_path_reaches_the_catch_around_with_doubts_of_the_other() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    body:
      - id: all
        type: parallel
        paths:
          one: [{id: a, type: target.tell}]
          two: [{id: b, type: target.put}, {id: bad, type: raise, code: X}]
    catch: [{errors: [X], steps: [{id: caught, type: map, to: {caught: n}}]}]
  - {id: after, type: target.put}
""")
    for seed in range(6):
        target = Target(failures={"safe/all/a": [(UNKNOWN, True)]})
        execution = Execution(process, documents({"n": 1}), target=target, seed=seed)
        while execution.run().state is IN_DOUBT:
            execution.answer("e1/safe/all/a/0", "done")
        assert values(execution) == [{"caught": 1}]
        assert target.step_counts()["after"] == 1


def test_an_empty_list_begins_no_path() -> None:
    process = a_process("""
steps:
  - {id: none, type: filter, if: n > 9}
  - {id: all, type: parallel, paths: {a: [{id: x, type: target.put}]}}
""")
    execution = Execution(process, documents({"n": 1}))
    assert execution.run().documents == ()
    assert execution.target.received == []
