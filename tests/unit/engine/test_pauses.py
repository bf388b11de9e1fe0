"""What waits holds no slot: retries, `wait`, `await` end the attempt and go on where they were."""

from typing import Any

import pytest

from molecule.engine.instructions import Awaited, Finish, Instruction
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState
from tests.fakes.executions import NOW_MS, Crash, Execution, a_process, documents
from tests.fakes.target import Target

DEFINITE = ErrorClass.TRANSIENT_DEFINITE
WAITING, COMPLETED, FAILED = (
    ExecutionState.WAITING,
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
)
HOUR_MS = 3_600_000


def an_execution(steps: str, *values: Any, **given: Any) -> Execution:
    return Execution(a_process(f"steps:\n{steps}"), documents(*(values or ({"n": 1},))), **given)


def waits(execution: Execution) -> list[tuple[str, int, str]]:
    return [
        (finish.reason, finish.wait_until_ms - NOW_MS if finish.wait_until_ms else 0, finish.step)
        for finish in execution.finishes
        if finish.state is WAITING
    ]


WAIT = """
  - {id: before, type: target.put}
  - {id: rest, type: wait, for: 1h}
  - {id: behind, type: target.put}
"""


def test_a_long_wait_ends_the_attempt_and_goes_on_behind_it() -> None:
    execution = an_execution(WAIT)
    assert execution.run().state is COMPLETED
    assert execution.attempts == 2
    assert [reason for reason, _, _ in waits(execution)] == ["timer"]
    assert waits(execution)[0][2] == "rest"
    assert execution.now_ms >= NOW_MS + HOUR_MS
    assert execution.target.keys() == ["e1/before/0", "e1/behind/0"]


def test_a_short_wait_stays_in_the_worker() -> None:
    execution = an_execution("  - {id: rest, type: wait, for: 2s}")
    assert execution.run().state is COMPLETED
    assert execution.attempts == 1
    assert execution.delays == [2_000]


def test_a_wait_until_an_instant_that_is_over_holds_nothing_up() -> None:
    steps = "  - {id: rest, type: wait, until: due}"
    execution = an_execution(steps, {"due": "2020-01-01T00:00:00Z"})
    assert execution.run().state is COMPLETED
    assert execution.attempts == 1


def test_documents_wait_each_for_its_own_instant_and_go_on_together() -> None:
    steps = "  - {id: rest, type: wait, until: due}\n  - {id: put, type: target.put}"
    dues = [{"due": NOW_MS + 10_000}, {"due": NOW_MS + HOUR_MS}, {"due": NOW_MS - 1}]
    execution = an_execution(steps, *dues)
    finish = execution.run()
    assert [document.value for document in finish.documents] == dues
    assert [until for _, until, _ in waits(execution)] == [10_000, HOUR_MS]


def test_an_instant_without_a_time_zone_is_an_error_of_the_document() -> None:
    execution = an_execution("  - {id: rest, type: wait, until: due}", {"due": "2030-01-01T00:00"})
    finish = execution.run()
    assert finish.state is FAILED
    assert finish.failure is not None
    assert "time zone" in finish.failure.message


RETRY = """
  - id: put
    type: target.put
    retry: {max: 3, first: 10s, cap: 1m}
"""


def test_the_delay_of_a_retry_holds_no_slot_and_tries_are_counted_across_attempts() -> None:
    target = Target()
    target.failures["put"] = [(DEFINITE, False)] * 3
    execution = an_execution(RETRY, target=target)
    assert execution.run().state is COMPLETED
    assert [reason for reason, _, _ in waits(execution)] == ["retry"] * 3
    spans = [until for _, until, _ in waits(execution)]
    assert [b - a for a, b in zip([0, *spans], spans, strict=False)] == pytest.approx(
        [10_000, 20_000, 40_000], abs=1_000
    )


def test_a_retry_that_is_used_up_fails_whatever_the_number_of_attempts() -> None:
    target = Target()
    target.failures["put"] = [(DEFINITE, False)] * 9
    execution = an_execution(RETRY, target=target)
    assert execution.run().state is FAILED
    assert len(target.failures["put"]) == 5
    assert execution.attempts == 4


def test_a_once_step_that_waits_to_be_retried_is_in_no_doubt_and_sends_the_same_again() -> None:
    target = Target()
    target.failures["tell"] = [(DEFINITE, False)]
    execution = an_execution(
        "  - {id: tell, type: target.tell, retry: {max: 1, first: 1h, cap: 1h}}", target=target
    )
    execution.attempt()
    assert [finish.state for finish in execution.finishes] == [WAITING]
    assert execution.kept.intents == {}
    execution.now_ms += HOUR_MS
    assert execution.run().state is COMPLETED
    assert execution.target.keys() == ["e1/tell/0"]


AWAIT = """
  - {id: before, type: target.tell}
  - {id: answer, type: await, signal: approved, output: {into: answer}}
  - {id: behind, type: target.tell, body: answer}
"""


def test_an_await_waits_for_its_signal_and_its_payload_goes_into_the_document() -> None:
    execution = an_execution(AWAIT)
    finish = execution.run()
    assert (finish.state, finish.reason, finish.wait_until_ms) == (WAITING, "signal", 0)
    assert finish.awaited == (Awaited("approved"),)
    execution.signal("approved", {"by": "ann"})
    finish = execution.run()
    assert finish.documents[0].value == {"n": 1, "answer": {"by": "ann"}}
    assert execution.taken == ["s1"]
    assert execution.target.keys() == ["e1/before/0", "e1/behind/0"]


def test_a_signal_that_came_before_its_await_is_taken_at_once() -> None:
    execution = an_execution(AWAIT)
    execution.signal("approved", 1)
    assert execution.run().state is COMPLETED
    assert execution.attempts == 1


def test_the_payload_becomes_the_document_by_default() -> None:
    execution = an_execution("  - {id: answer, type: await, signal: go}")
    execution.signal("go", {"new": True})
    assert [document.value for document in execution.run().documents] == [{"new": True}]


def test_a_signal_of_another_name_is_left_for_its_own_await() -> None:
    steps = "  - {id: one, type: await, signal: one}\n  - {id: two, type: await, signal: two}"
    execution = an_execution(steps)
    execution.signal("two", 2)
    assert execution.run().awaited == (Awaited("one"),)
    execution.signal("one", 1)
    assert [document.value for document in execution.run().documents] == [2]


def test_signals_are_told_apart_by_their_correlation() -> None:
    steps = """
  - id: each
    type: foreach
    at_once: 2
    steps: [{id: answer, type: await, signal: paid, correlation: no, output: {into: paid}}]
"""
    execution = an_execution(steps, {"no": "a"}, {"no": "b"})
    assert set(execution.run().awaited) == {Awaited("paid", "a"), Awaited("paid", "b")}
    execution.signal("paid", 20, correlation="b")
    assert execution.run().awaited == (Awaited("paid", "a"),)
    execution.signal("paid", 10, correlation="a")
    assert [document.value["paid"] for document in execution.run().documents] == [10, 20]


def test_without_a_signal_in_time_the_document_fails_and_can_be_caught() -> None:
    steps = """
  - id: all
    type: try
    body: [{id: answer, type: await, signal: go, timeout: 1h}]
    catch: [{errors: [await_timeout], steps: [{id: late, type: map, to: {code: $error.code}}]}]
"""
    execution = an_execution(steps)
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"code": "await_timeout"}]
    assert [(reason, until) for reason, until, _ in waits(execution)] == [("signal", HOUR_MS + 100)]


def test_without_a_signal_in_time_the_document_may_go_on() -> None:
    steps = "  - {id: answer, type: await, signal: go, timeout: 1h, on_timeout: continue}"
    finish = an_execution(steps).run()
    assert [document.value for document in finish.documents] == [{"n": 1}]


def test_a_signal_that_came_while_it_was_late_still_counts() -> None:
    execution = an_execution("  - {id: answer, type: await, signal: go, timeout: 1h}")
    execution.attempt()
    execution.now_ms += 2 * HOUR_MS
    execution.signal("go", 7)
    assert [document.value for document in execution.run().documents] == [7]


def test_other_documents_go_on_while_one_waits() -> None:
    steps = """
  - id: each
    type: foreach
    at_once: 2
    steps:
      - {id: rest, type: wait, for: 1h, when: n = 1}
      - {id: put, type: target.put}
"""
    execution = an_execution(steps, {"n": 1}, {"n": 2})
    execution.attempt()
    assert execution.target.keys() == ["e1/each/put/1"]
    assert execution.run().state is COMPLETED
    assert execution.target.keys() == ["e1/each/put/1", "e1/each/put/0"]


def test_a_failure_beside_a_wait_ends_it() -> None:
    steps = """
  - id: each
    type: foreach
    at_once: 2
    on_error: fail
    steps:
      - {id: rest, type: wait, for: 1h, when: n = 1}
      - {id: bad, type: raise, code: BAD, when: n = 2, on_error: fail}
"""
    finish = an_execution(steps, {"n": 1}, {"n": 2}).run()
    assert finish.state is FAILED
    assert finish.failure is not None
    assert finish.failure.code == "BAD"


def test_a_document_in_doubt_stops_only_itself_while_others_wait() -> None:
    steps = """
  - {id: tell, type: target.tell, when: n = 1}
  - {id: rest, type: wait, for: 1h, when: n = 2}
"""
    target = Target()
    target.failures["tell"] = [(ErrorClass.TRANSIENT_UNKNOWN, True)]
    execution = an_execution(steps, {"n": 1}, {"n": 2}, target=target)
    finish = execution.run()
    assert [one.state for one in execution.finishes] == [WAITING, ExecutionState.IN_DOUBT]
    assert finish.state is ExecutionState.IN_DOUBT
    execution.answer("e1/tell/0", "done")
    assert [document.value["n"] for document in execution.run().documents] == [1, 2]


def test_too_many_documents_that_wait_at_once_fail() -> None:
    process = a_process("steps: [{id: rest, type: wait, for: 1h}]")
    limits = Execution(process, ()).limits.model_copy(update={"awaited_per_execution_max": 1})
    finish = Execution(process, documents(1, 2), limits=limits).run()
    assert finish.state is FAILED
    assert finish.failure is not None
    assert "awaited_per_execution_max" in finish.failure.message


LONG = """
  - {id: s1, type: target.tell%s}
  - {id: s2, type: wait, for: 1h}
  - id: s3
    type: foreach
    at_once: 2
    steps:
      - {id: s4, type: await, signal: go, correlation: $string(n), output: {into: answer}}
      - {id: s5, type: target.tell, body: answer%s}
      - {id: s6, type: wait, for: 1d}
      - {id: s7, type: target.put, body: answer, retry: {max: 3, first: 1m, cap: 1m}}
  - id: s8
    type: try
    body: [{id: s9, type: await, signal: late, timeout: 1h}]
    catch: [{errors: [await_timeout], steps: [{id: s10, type: target.tell, body: answer%s}]}]
"""
_VERIFY = (
    ", verify: {steps: [{id: ask-%s, type: target.ask, of: %s}],"
    " done_if: count > 0, not_done_if: count = 0}"
)
_LONG = a_process(
    "steps:\n"
    + LONG % tuple(_VERIFY % pair for pair in (("s1", "s1"), ("s5", "s3/s5"), ("s10", "s8/s10")))
)


def long_one(crash: Crash) -> Execution:
    target = Target()
    target.failures["s3/s7"] = [(DEFINITE, False)]
    execution = Execution(_LONG, documents({"n": 1}, {"n": 2}), target=target, crash=crash)
    for number in (2, 1):
        execution.signal("go", {"answer": number}, correlation=str(number))
    return execution


def test_killed_at_every_single_point_waits_end_once_and_signals_are_taken_once() -> None:
    points = 0
    while True:
        passed, hit = 0, False

        def crash(point: str, instruction: Instruction, limit: int = points) -> bool:
            nonlocal passed, hit
            del point, instruction
            passed += 1
            if passed == limit + 1 and not hit:
                hit = True
                return True
            return False

        execution = long_one(crash)
        finish = execution.run()
        assert finish.state is COMPLETED, (points, finish)
        assert [document.value["answer"] for document in finish.documents] == [
            {"answer": 1},
            {"answer": 2},
        ]
        assert sorted(execution.taken) == ["s1", "s2"], points
        counts = execution.target.step_counts()
        assert (counts["s1"], counts["s3/s5"], counts["s8/s10"]) == (2, 2, 2), (points, counts)
        assert 2 <= counts["s3/s7"] <= 4, (points, counts)
        if not hit:
            break
        points += 1
    assert points > 40


def test_the_timeline_tells_of_a_step_that_waits_once_when_its_documents_go_on() -> None:
    execution = an_execution(WAIT)
    execution.run()
    assert [note.step for note in execution.kept.notes] == ["before", "rest", "behind"]
    assert execution.kept.notes[1].duration_us >= HOUR_MS * 1_000


def test_the_timeline_tells_of_an_await_whose_payload_has_no_place() -> None:
    execution = an_execution(
        "  - {id: ok, type: await, signal: approved, output: {into: answer}}", "no object"
    )
    execution.signal("approved", True)
    assert execution.run().state is FAILED
    assert [(note.step, note.error_code) for note in execution.kept.notes] == [("ok", "output")]


def test_documents_that_cannot_wait_fail_beside_those_that_do() -> None:
    steps = "  - {id: rest, type: wait, until: due, on_error: drop}"
    execution = an_execution(steps, {"due": NOW_MS + HOUR_MS}, {"due": "soon"})
    finish = execution.run()
    assert [document.value for document in finish.documents] == [{"due": NOW_MS + HOUR_MS}]
    assert execution.kept.notes[0].error_code == "data"


def test_what_waits_says_so_in_its_last_word_only() -> None:
    execution = an_execution("  - {id: rest, type: wait, for: 1h}")
    execution.attempt()
    assert execution.kept.words == 1
    finish = execution.finishes[0]
    assert isinstance(finish, Finish)
    assert finish.checkpoint is not None
