"""A closed gate: the request waits before it, no try is burnt, nothing is in doubt afterwards."""

from typing import Any

import pytest

from molecule.engine.events import Event, RequestHeld
from molecule.engine.instructions import Finish, PerformRequest
from molecule.model.effect import ErrorClass
from molecule.model.execution import ExecutionState, WaitReason
from tests.fakes.executions import Execution, a_process, documents
from tests.fakes.target import Target

WAITING, COMPLETED = ExecutionState.WAITING, ExecutionState.COMPLETED


class Gated(Execution):
    """Requests are held so often before the gate opens; the leader lets it go on each time."""

    def __init__(self, *given: Any, held: int, reason: WaitReason, **more: Any) -> None:
        super().__init__(*given, **more)
        self.held_left, self.reason = held, reason
        self.held = 0

    def _perform(self, item: PerformRequest, at_ms: int) -> Event:
        if self.held_left > 0:
            self.held_left -= 1
            self.held += 1
            return RequestHeld(item.call, at_ms, self.reason)
        return super()._perform(item, at_ms)

    def _wait(self, finish: Finish) -> bool:
        return super()._wait(finish) or bool(finish.reason in tuple(WaitReason))


def gated(
    steps: str,
    count: int = 1,
    *,
    held: int = 1,
    reason: WaitReason = WaitReason.BREAKER,
    **more: Any,
) -> Gated:
    values = [{"n": number} for number in range(count)]
    return Gated(
        a_process(f"steps:\n{steps}"), documents(*values), held=held, reason=reason, **more
    )


@pytest.mark.parametrize("kind", ["target.put", "target.tell"])
@pytest.mark.parametrize("reason", [WaitReason.BREAKER, WaitReason.RATE])
def test_a_held_request_ends_the_attempt_and_is_sent_once_when_it_may(
    kind: str, reason: WaitReason
) -> None:
    execution = gated(f"  - {{id: a, type: {kind}}}", held=3, reason=reason)
    assert execution.run().state is COMPLETED
    waits = [finish for finish in execution.finishes if finish.state is WAITING]
    assert [(one.reason, one.wait_until_ms, one.step) for one in waits] == [(reason, 0, "a")] * 3
    assert execution.attempts == 4
    assert execution.target.keys() == ["e1/a/0"]


def test_a_held_request_burns_no_try() -> None:
    target = Target(failures={"a": [(ErrorClass.TRANSIENT_DEFINITE, False)]})
    steps = "  - {id: a, type: target.put, retry: {max: 1, first: 1ms}}"
    execution = gated(steps, held=10, target=target)
    assert execution.run().state is COMPLETED
    assert execution.held == 10


def test_a_held_once_request_is_known_not_to_have_left() -> None:
    execution = gated("  - {id: a, type: target.tell}", held=2)
    assert execution.run().state is COMPLETED
    assert [finish.state for finish in execution.finishes].count(ExecutionState.IN_DOUBT) == 0
    assert execution.target.keys() == ["e1/a/0"]


def test_what_is_under_way_beside_it_goes_on_before_the_attempt_ends() -> None:
    steps = """
  - id: each
    type: foreach
    size: 1
    at_once: 3
    steps: [{id: a, type: target.put}]
"""
    execution = gated(steps, count=6, held=2)
    assert execution.run().state is COMPLETED
    assert sorted(execution.target.keys()) == sorted(f"e1/each/a/{n}" for n in range(6))
