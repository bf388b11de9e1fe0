"""A process of ten steps, killed at every point: what was confirmed is never repeated."""

import pytest

from molecule.engine.instructions import Commit, Instruction, PerformRequest
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Crash, Execution, a_process, at_points, documents
from tests.fakes.target import Target

VERIFY = """
    verify:
      steps: [{id: ask-%s, type: target.ask, of: %s}]
      done_if: count > 0
      not_done_if: count = 0
"""
TEN = f"""
steps:
  - {{id: s1, type: map, to: {{n: n, at: $now(), by: $random()}}}}
  - {{id: s2, type: target.put}}
  - id: s3
    type: target.tell{VERIFY % ("s3", "s3")}
  - {{id: s4, type: target.read, output: {{into: found}}}}
  - {{id: s5, type: target.put, body: found}}
  - id: s6
    type: target.tell
    body: found.seen{VERIFY % ("s6", "s6")}
  - id: s7
    type: decision
    if: n < 9
    then: [{{id: big, type: map, to: {{n: n, seen: found.seen}}}}]
  - id: s8
    type: target.tell{VERIFY % ("s8", "s8")}
  - {{id: s9, type: target.put}}
  - id: s10
    type: target.tell{VERIFY % ("s10", "s10")}
"""
ONCE = ("s3", "s6", "s8", "s10")
EFFECTS = ("s2", "s3", "s5", "s6", "s8", "s9", "s10")
_TEN = a_process(TEN)
GIVEN = documents({"n": 1})


def ten(crash: Crash | None = None, seed: int = 0) -> Execution:
    execution = Execution(_TEN, GIVEN, target=Target(), seed=seed)
    if crash is not None:
        execution.crash = crash
    return execution


def after_confirmed(step: str) -> Crash:
    """The owner dies at the first point after the commit that stands behind `step`."""
    answered = False
    done = False

    def crash(point: str, instruction: Instruction) -> bool:
        nonlocal answered, done
        if point == "after" and isinstance(instruction, PerformRequest):
            answered = answered or instruction.step.path == step
        if answered and not done and point == "after" and isinstance(instruction, Commit):
            done = True
            return True
        return False

    return crash


def around_send(point: str, step: str) -> Crash:
    """The owner dies between intent and send, or between send and confirmation."""
    done = False

    def crash(at: str, instruction: Instruction) -> bool:
        nonlocal done
        hit = isinstance(instruction, PerformRequest) and instruction.step.path == step
        if hit and at == point and not done:
            done = True
            return True
        return False

    return crash


def expect_each_once(execution: Execution, *, repeated: str = "") -> None:
    finish = execution.run()
    counts = execution.target.step_counts()
    assert finish.state is ExecutionState.COMPLETED
    for step in EFFECTS:
        allowed = (1, 2) if step == repeated and step not in ONCE else (1,)
        assert counts[step] in allowed, counts
    by_key: dict[str, set[bytes]] = {}
    for key, sent in execution.target.received:
        by_key.setdefault(key, set()).add(sent)
    assert all(len(sent) == 1 for sent in by_key.values()), "a repeat sent other bytes"
    plain = ten()
    expected = plain.run().documents
    # What a read outside saw may be another, if it was read again before it was ever used.
    assert [d.value["n"] for d in finish.documents] == [d.value["n"] for d in expected]
    assert execution.kept.intents == {}


@pytest.mark.parametrize("step", EFFECTS)
def test_killed_after_step_k_was_committed_steps_1_to_k_are_seen_once(step: str) -> None:
    expect_each_once(ten(after_confirmed(step)))


@pytest.mark.parametrize("step", EFFECTS)
def test_killed_between_intent_and_send_it_is_sent_once(step: str) -> None:
    expect_each_once(ten(around_send("before", step)))


@pytest.mark.parametrize("step", EFFECTS)
def test_killed_between_send_and_confirmation_once_is_not_repeated(step: str) -> None:
    expect_each_once(ten(around_send("after", step)), repeated=step)


def test_killed_at_every_single_point_each_effect_is_seen_as_it_must_be() -> None:
    points = 0
    while True:
        passed = 0
        hit = False

        def crash(point: str, instruction: Instruction, limit: int = points) -> bool:
            nonlocal passed, hit
            del point, instruction
            passed += 1
            if passed == limit + 1 and not hit:
                hit = True
                return True
            return False

        execution = ten(crash)
        execution.run()
        counts = execution.target.step_counts()
        assert all(counts[step] == 1 for step in ONCE), (points, counts)
        assert all(1 <= counts[step] <= 2 for step in EFFECTS), (points, counts)
        assert len(set(execution.target.received)) == len(set(execution.target.keys())), points
        if not hit:
            break
        points += 1
    assert points > 30


def test_killed_again_and_again_it_still_ends_with_each_effect_once() -> None:
    execution = ten(at_points(range(7, 2_000, 13)))
    assert execution.run().state is ExecutionState.COMPLETED
    counts = execution.target.step_counts()
    assert all(counts[step] == 1 for step in ONCE), counts
    assert execution.attempts > 3
