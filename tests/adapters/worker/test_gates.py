"""What a worker does with the word of its node about one call through a gate."""

from dataclasses import dataclass, field
from typing import Final

import pytest

from molecule.config import Limits
from molecule.engine.events import Event, RequestFailed, RequestHeld
from molecule.engine.failures import Failure
from molecule.engine.instructions import PerformRequest
from molecule.model.effect import ErrorClass
from molecule.model.execution import WaitReason
from molecule.model.gate import GatePolicy
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import kernel
from molecule.worker.gates import Answered, GateKeeper, Leave, Permit, PermitOver
from tests.fakes.executions import Execution, a_process, documents

_BREAKER: Final = GatePolicy("target", failures=3, within_ms=60_000, open_ms=2_000)
_RATE: Final = GatePolicy("target", rate_limit=4, rate_per_ms=1_000)
_DEFINITE, _UNKNOWN = ErrorClass.TRANSIENT_DEFINITE, ErrorClass.TRANSIENT_UNKNOWN


@dataclass
class Node:
    """Answers each question with the next of these, and keeps what it was told."""

    answers: list[w.GateAnswer]
    told: list[w.GateTold] = field(default_factory=list)
    refusals: list[w.CallAnswer] = field(default_factory=list)
    """What it answers first when it is told something."""

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        if message.HasField("gate_told"):
            self.told.append(message.gate_told)
            if self.refusals:
                return self.refusals.pop(0)
            return w.CallAnswer(done=True)
        return w.CallAnswer(done=True, gate=self.answers.pop(0))


def a_call(kind: str) -> PerformRequest:
    """The first request of a step of this kind, as the engine asks for it."""
    seen: list[PerformRequest] = []

    class Stops(Execution):
        def _perform(self, item: PerformRequest, at_ms: int) -> Event:
            seen.append(item)
            return super()._perform(item, at_ms)

    Stops(a_process(f"steps:\n  - {{id: a, type: {kind}}}"), documents({"n": 1})).run()
    return seen[0]


def failed(item: PerformRequest, error_class: ErrorClass, *, sent: bool = True) -> RequestFailed:
    return RequestFailed(item.call, 5, 1, Failure(error_class, "http_503", "no"), sent)


async def through(
    node: Node, item: PerformRequest, gate: GatePolicy, *events: Answered
) -> Answered | RequestHeld:
    left = list(events)

    async def send(permit: Permit) -> Answered:
        permit.check()
        return left.pop(0)

    keeper = GateKeeper(node, w.RunExecution(execution="e1", token=7), Limits())
    answer = await keeper.through(item, gate, send, now_ms=lambda: 9)
    assert not left, "what may leave is sent once"
    return answer


@pytest.mark.parametrize(
    ("kind", "error_class", "sent"),
    [
        ("target.put", _DEFINITE, True),
        ("target.put", _UNKNOWN, True),
        ("target.tell", _DEFINITE, True),
        ("target.tell", _UNKNOWN, False),
    ],
)
async def test_a_failed_trial_call_burns_no_try(
    kind: str, error_class: ErrorClass, sent: bool
) -> None:
    node, item = Node([w.GateAnswer(passed=True)]), a_call(kind)
    answer = await through(node, item, _BREAKER, failed(item, error_class, sent=sent))
    assert answer == RequestHeld(item.call, 5, WaitReason.BREAKER)
    assert [each.failed for each in node.told] == [True]


async def test_a_trial_call_that_may_have_had_its_effect_once_stays_in_doubt() -> None:
    node, item = Node([w.GateAnswer(passed=True)]), a_call("target.tell")
    event = failed(item, _UNKNOWN)
    assert await through(node, item, _BREAKER, event) is event
    assert [each.failed for each in node.told] == [True]


@pytest.mark.parametrize("error_class", [ErrorClass.PERMANENT, ErrorClass.DATA])
async def test_a_target_that_refuses_what_it_was_sent_is_back(error_class: ErrorClass) -> None:
    node, item = Node([w.GateAnswer(passed=True)]), a_call("target.put")
    event = failed(item, error_class)
    assert await through(node, item, _BREAKER, event) is event
    assert [each.failed for each in node.told] == [False]


async def test_failures_count_while_the_gate_is_open_to_all_and_burn_their_try() -> None:
    node, item = Node([w.GateAnswer()]), a_call("target.put")
    event = failed(item, _DEFINITE)
    assert await through(node, item, _BREAKER, event) is event
    assert [each.failed for each in node.told] == [True]


async def test_a_trial_call_is_told_again_until_it_is_committed() -> None:
    later = w.CallAnswer(code="no_leader", definite=True)
    unknown = w.CallAnswer(code="outcome_unknown")
    node = Node([w.GateAnswer(passed=True)], refusals=[later, unknown])
    item = a_call("target.put")
    await through(node, item, _BREAKER, failed(item, _DEFINITE))
    assert len(node.told) == 3
    assert {(told.token, told.call) for told in node.told} == {(7, item.call)}


async def test_an_attempt_that_is_over_tells_no_more() -> None:
    gone = w.CallAnswer(code="stale_token", definite=True)
    node, item = Node([w.GateAnswer(passed=True)], refusals=[gone]), a_call("target.put")
    await through(node, item, _BREAKER, failed(item, _DEFINITE))
    assert len(node.told) == 1


async def test_a_rate_alone_is_told_nothing() -> None:
    node, item = Node([w.GateAnswer()]), a_call("target.put")
    event = failed(item, _DEFINITE)
    assert await through(node, item, _RATE, event) is event
    assert node.told == []


async def test_a_call_that_is_too_late_for_its_permit_asks_for_another_one() -> None:
    late = w.GateAnswer(until_boottime_us=kernel.boottime_us() - 1)
    node, item = Node([late, w.GateAnswer()]), a_call("target.put")
    event = failed(item, _DEFINITE)
    assert await through(node, item, _RATE, event) is event
    assert node.answers == []


def test_a_call_that_has_left_may_follow_a_redirect_when_its_permit_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_us = [1_000]
    monkeypatch.setattr(kernel, "boottime_us", lambda: now_us[0])
    asked: list[None] = []
    leave = Leave(lambda: asked.append(None), Permit(until_boottime_us=1_000))
    leave()
    now_us[0] += 1
    leave()
    assert (leave.sent, len(asked)) == (True, 2)
    late = Leave(lambda: None, Permit(until_boottime_us=1_000))
    with pytest.raises(PermitOver):
        late()
    assert not late.sent


async def test_a_held_call_is_not_sent() -> None:
    node, item = Node([w.GateAnswer(held=WaitReason.RATE)]), a_call("target.put")
    assert await through(node, item, _RATE) == RequestHeld(item.call, 9, WaitReason.RATE)
