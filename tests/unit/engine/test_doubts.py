"""Effects of which nobody knows whether they happened."""

from dataclasses import replace

import pytest

from molecule.component.config import Config
from molecule.component.contract import Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Spec
from molecule.definition.definition import MaxFailed
from molecule.engine import words
from molecule.engine.instructions import Commit, Instruction, PerformRequest
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from molecule.model.ids import EffectKey
from tests.fakes import target as fake_target
from tests.fakes.executions import Crash, Execution, a_process, documents
from tests.fakes.target import Target, Tell

COMPLETED, IN_DOUBT, WAITING = (
    ExecutionState.COMPLETED,
    ExecutionState.IN_DOUBT,
    ExecutionState.WAITING,
)
UNKNOWN = ErrorClass.TRANSIENT_UNKNOWN
TELL = """
steps:
  - {id: tell, type: target.tell, timeout: 5s%s}
  - {id: after, type: target.put}
"""
VERIFY = (
    ", verify: {steps: [{id: ask, type: target.ask}], done_if: count > 0, not_done_if: count = 0}"
)
UNDECIDED = """, verify: {steps: [{id: ask, type: target.ask}], done_if: count > 9}"""


def killed(point: str, kind: type[Instruction], number: int = 1) -> Crash:
    """The owner dies before or after the n-th instruction of a kind."""
    seen = 0

    def crash(at: str, instruction: Instruction) -> bool:
        nonlocal seen
        if at == point and isinstance(instruction, kind):
            seen += 1
            return seen == number
        return False

    return crash


def test_killed_between_intent_and_send_without_verify_it_is_in_doubt() -> None:
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % ""), documents({"n": 1}), crash=crash)
    assert execution.run().state is IN_DOUBT
    assert execution.target.received == []


@pytest.mark.parametrize(("answer", "told"), [("done", 0), ("not_done", 1)])
def test_a_person_answers_a_doubt(answer: str, told: int) -> None:
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % ""), documents({"n": 1}), crash=crash)
    execution.run()
    execution.answer("e1/tell/0", answer)
    assert execution.run().state is COMPLETED
    assert execution.target.step_counts() == {"after": 1, **({"tell": 1} if told else {})}
    assert execution.kept.intents == {}


@pytest.mark.parametrize("point", ["before", "after"])
def test_killed_around_the_send_verify_finds_out(point: str) -> None:
    execution = Execution(
        a_process(TELL % VERIFY), documents({"n": 1}), crash=killed(point, PerformRequest)
    )
    assert execution.run().state is COMPLETED
    assert execution.target.step_counts() == {"tell": 1, "after": 1}


@pytest.mark.parametrize("output", ["replace", "keep", "{into: told}"])
@pytest.mark.parametrize("verify", [VERIFY, ""], ids=["verify found out", "a person said so"])
def test_what_is_only_known_to_have_happened_goes_on(verify: str, output: str) -> None:
    """The answer is lost, the document is not: it goes on as it was, or with null."""
    process = a_process(TELL % f", output: {output}{verify}")
    execution = Execution(process, documents({"n": 1}), crash=killed("after", PerformRequest))
    if not verify:
        execution.run()
        execution.answer("e1/tell/0", "done")
    assert execution.run().state is COMPLETED
    assert execution.target.step_counts() == {"tell": 1, "after": 1}


def test_a_repeat_after_not_done_has_the_same_key_and_bytes_and_a_new_intent() -> None:
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % VERIFY), documents({"n": 1}), crash=crash)
    execution.run()
    assert execution.kept.intents_ever == ["e1/tell/0", "e1/tell/0"]
    assert execution.target.keys()[0] == "e1/tell/0"


@pytest.mark.parametrize("happened", [True, False])
def test_an_unknown_outcome_waits_until_a_later_owner_may_ask(happened: bool) -> None:
    target = Target(failures={"tell": [(UNKNOWN, happened)]})
    execution = Execution(a_process(TELL % VERIFY), documents({"n": 1}), target=target)
    assert execution.run().state is COMPLETED
    waited = execution.finishes[0]
    assert (waited.state, waited.wait_ms) == (WAITING, 5_000 + 2_750)
    assert target.step_counts() == {"tell": 1, "after": 1}


def test_an_unknown_outcome_without_verify_is_in_doubt_at_once() -> None:
    target = Target(failures={"tell": [(UNKNOWN, True)]})
    execution = Execution(a_process(TELL % ""), documents({"n": 1}), target=target)
    finish = execution.run()
    assert (finish.state, finish.step) == (IN_DOUBT, "tell")
    assert list(execution.kept.intents) == ["e1/tell/0"]


def test_a_document_that_a_person_gives_up_becomes_a_dead_letter_and_stops_only_itself() -> None:
    target = Target(failures={"tell": [(UNKNOWN, True)]})
    process = a_process(TELL % "", max_failed=MaxFailed(1))
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    execution.run()
    execution.answer("e1/tell/0", "fail")
    finish = execution.run()
    assert (finish.state, finish.documents_failed) == (COMPLETED, 1)
    assert execution.kept.dead_letters == [({"n": 1}, "given_up")]
    assert [document.value for document in finish.documents] == [{"n": 2}]


def test_an_answer_is_not_forgotten_when_another_checkpoint_comes_first() -> None:
    crash = killed("before", PerformRequest, 2)
    process = a_process(TELL % "")
    execution = Execution(process, documents({"n": 1}, {"n": 2}, {"n": 3}), crash=crash)
    execution.run()
    execution.answer("e1/tell/1", "done")
    execution.forgets_resolved = True
    execution.crash = killed("after", Commit, 2)
    assert execution.run().state is COMPLETED
    assert execution.target.step_counts() == {"tell": 2, "after": 3}


def test_a_known_answer_outlives_a_checkpoint_that_comes_before_its_step() -> None:
    crash = killed("before", PerformRequest)
    process = a_process("steps: [{id: tell, type: target.tell}]")
    execution = Execution(process, documents({"n": 1}, {"n": 2}), crash=crash)
    execution.forgets_resolved = True
    execution.kept.intents[EffectKey("e1/tell/1")] = "done"
    execution.kept.steps[EffectKey("e1/tell/1")] = "tell"
    assert execution.run().state is IN_DOUBT
    assert execution.attempts == 2
    assert execution.target.received == []


def test_a_scope_that_fails_takes_its_documents_in_doubt_with_it() -> None:
    target = Target(failures={"safe/tell": [(UNKNOWN, True)]})
    process = a_process("""
steps:
  - id: safe
    type: try
    body:
      - {id: tell, type: target.tell}
      - {id: bad, type: raise, code: X, when: n = 2}
      - {id: never, type: target.put}
    catch: [{errors: [X], steps: [{id: caught, type: map, to: {caught: n}}]}]
  - {id: after, type: target.put}
""")
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    execution.answer("e1/safe/tell/0", "done")
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"caught": 1}, {"caught": 2}]
    assert target.step_counts() == {"safe/tell": 2, "after": 2}


def test_a_repeat_sends_the_bytes_that_were_stored_not_those_of_today() -> None:
    prepared = 0

    @operation("test.changing", Spec(summary="Another request each time.", effect=None, errors="-"))
    class Changing(Tell):
        def __init__(self, config: Config) -> None:
            del config

        def prepare(self, document: Document, context: StepContext) -> Request:
            nonlocal prepared
            del document, context
            prepared += 1
            return Request("target", prepared)

    registry = fake_target.registry()
    registry.add(Changing)
    process = a_process(
        "steps: [{id: tell, type: test.changing, timeout: 5s" + VERIFY + "}]", registry=registry
    )
    crash = killed("before", PerformRequest)
    execution = Execution(process, documents({"n": 1}), crash=crash)
    assert execution.run().state is COMPLETED
    assert execution.target.received == [("e1/tell/0", b"1")]


def test_verify_that_cannot_tell_leaves_the_doubt_open() -> None:
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % UNDECIDED), documents({"n": 1}), crash=crash)
    finish = execution.run()
    assert finish.state is IN_DOUBT
    assert finish.failure is not None
    assert "could not tell" in finish.failure.message
    assert list(execution.kept.intents) == ["e1/tell/0"]


def test_asking_again_runs_verify_again() -> None:
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % UNDECIDED), documents({"n": 1}), crash=crash)
    execution.run()
    execution.answer("e1/tell/0", "ask")
    assert execution.run().state is IN_DOUBT


def test_an_error_before_anything_was_sent_leaves_no_doubt() -> None:
    process = a_process("""
steps: [{id: tell, type: target.tell, body: $number(n)}]
""")
    finish = Execution(process, documents({"n": "x"})).run()
    assert finish.state is ExecutionState.FAILED


def test_a_document_in_doubt_stops_only_itself() -> None:
    crash = killed("before", PerformRequest, 2)
    execution = Execution(
        a_process(TELL % ""), documents({"n": 1}, {"n": 2}, {"n": 3}), crash=crash
    )
    assert execution.run().state is IN_DOUBT
    assert sorted(execution.target.keys()) == [
        "e1/after/0",
        "e1/after/2",
        "e1/tell/0",
        "e1/tell/2",
    ]
    execution.answer("e1/tell/1", "not_done")
    finish = execution.run()
    assert [document.value["n"] for document in finish.documents] == [1, 2, 3]
    assert execution.target.step_counts() == {"tell": 3, "after": 3}


def test_a_document_in_doubt_goes_on_through_the_blocks_around_it() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    at_once: 2
    steps:
      - id: which
        type: decision
        if: n < 9
        then:
          - {id: tell, type: target.tell}
          - {id: shape, type: map, to: {n: n * 10}}
  - {id: after, type: target.put}
""")
    for seed in range(4):
        target = Target(failures={"each/which/tell": [(UNKNOWN, True)]})
        execution = Execution(process, documents(*({"n": n} for n in range(5))), target=target)
        execution._chance.seed(seed)
        assert execution.run().state is IN_DOUBT
        (key,) = execution.kept.intents
        execution.answer(key, "done")
        finish = execution.run()
        assert [document.value["n"] for document in finish.documents] == [0, 10, 20, 30, 40]
        assert target.step_counts() == {"each/which/tell": 5, "after": 5}


def test_a_failed_execution_with_a_doubt_is_in_doubt_first() -> None:
    target = Target(failures={"tell": [(UNKNOWN, True)]})
    process = a_process("""
steps:
  - {id: tell, type: target.tell}
  - {id: bad, type: raise, code: X}
""")
    execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target)
    assert execution.run().state is IN_DOUBT
    execution.answer("e1/tell/0", "done")
    finish = execution.run()
    assert (finish.state, finish.reason) == (ExecutionState.FAILED, "X")
    assert target.step_counts() == {"tell": 2}


def test_an_intent_whose_step_is_never_met_again_is_not_forgotten() -> None:
    process = a_process("steps: [{id: put, type: target.put}]")
    execution = Execution(process, documents({"n": 1}))
    execution.kept.intents[EffectKey("e1/gone/0")] = ""
    execution.kept.steps[EffectKey("e1/gone/0")] = "gone"
    assert execution.run().state is IN_DOUBT
    execution.answer("e1/gone/0", "done")
    assert execution.run().state is COMPLETED


def test_killed_before_the_completion_what_was_confirmed_is_asked_after() -> None:
    from molecule.engine.instructions import Finish

    process = a_process("steps: [{id: tell, type: target.tell" + VERIFY + "}]")
    execution = Execution(process, documents({"n": 1}), crash=killed("before", Finish))
    assert execution.run().state is COMPLETED
    assert execution.target.step_counts() == {"tell": 1}


def test_a_crash_while_the_commit_is_under_way_repeats_nothing() -> None:
    process = a_process(TELL % VERIFY)
    for point in ("before", "after"):
        execution = Execution(process, documents({"n": 1}), crash=killed(point, Commit))
        assert execution.run().state is COMPLETED
        assert execution.target.step_counts() == {"tell": 1, "after": 1}


@pytest.mark.parametrize("broken", ["{id: ask, type: raise, code: X}", "{id: ask, type: stop}"])
def test_verify_that_fails_or_gives_nothing_leaves_the_doubt_open(broken: str) -> None:
    verify = f", verify: {{steps: [{broken}], done_if: 'true'}}"
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % verify), documents({"n": 1}), crash=crash)
    assert execution.run().state is IN_DOUBT
    assert list(execution.kept.intents) == ["e1/tell/0"]


def test_a_condition_of_verify_that_is_no_answer_leaves_the_doubt_open() -> None:
    verify = ", verify: {steps: [{id: ask, type: target.ask}], done_if: count}"
    crash = killed("before", PerformRequest)
    execution = Execution(a_process(TELL % verify), documents({"n": 1}), crash=crash)
    assert execution.run().state is IN_DOUBT


def test_more_doubts_than_the_bound_stop_the_execution() -> None:
    target = Target(failures={"tell": [(UNKNOWN, True)] * 9})
    process = a_process(TELL % "")
    limits = Execution(process, ()).limits.model_copy(update={"intents_open_per_execution_max": 2})
    execution = Execution(process, documents(*range(9)), target=target, limits=limits)
    assert execution.run().state is IN_DOUBT
    assert target.step_counts() == {"tell": 2}


def test_an_unknown_outcome_beside_a_failing_item_is_still_settled() -> None:
    process = a_process("""
steps:
  - id: safe
    type: try
    body:
      - id: each
        type: foreach
        at_once: 2
        steps:
          - {id: tell, type: target.tell, when: n = 1}
          - {id: bad, type: raise, code: X, when: n = 2, on_error: fail}
    catch: [{errors: [X], steps: [{id: caught, type: map, to: {caught: n}}]}]
""")
    for seed in range(6):
        target = Target(failures={"safe/each/tell": [(UNKNOWN, True)]})
        execution = Execution(process, documents({"n": 1}, {"n": 2}), target=target, seed=seed)
        while execution.run().state is IN_DOUBT:
            execution.answer("e1/safe/each/tell/0", "done")
        assert [document.value for document in execution.finishes[-1].documents] == [
            {"caught": 1},
            {"caught": 2},
        ]
        assert target.step_counts().get("safe/each/tell", 0) <= 1


def test_a_doubt_names_the_connection_and_where_it_went() -> None:
    node = a_process("steps: [{id: tell, type: target.tell}]").definition.steps[0]
    asked = Request(target="POST /told", body={})
    assert words.target_of(node, asked) == "POST /told"
    assert words.target_of(replace(node, connection="desk"), asked) == "desk: POST /told"
