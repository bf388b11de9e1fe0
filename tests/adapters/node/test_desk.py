"""What workers may ask of their node, and what their words do to what the agent holds."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from molecule.model.disk import Level
from molecule.model.errors import (
    Forbidden,
    InvalidInput,
    LimitExceeded,
    NoLeader,
    StaleToken,
    StorageFull,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.node.agent import Agent, LeaderSession
from molecule.node.agent_rounds import AgentRounds
from molecule.node.control import Control
from molecule.node.desk import AskedState, Desk
from molecule.node.gates import Gates
from molecule.node.seats import Seats
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from tests.adapters.node.one_node import ENVIRONMENT, OneNode


async def _no_session(_leader: str) -> LeaderSession:
    raise NoLeader("nobody leads")


@pytest.fixture
def agent(node: OneNode) -> Iterator[Agent]:
    ours, theirs = socket.socketpair()
    control = Control(theirs.detach())
    with ours, contextlib.closing(control):
        yield Agent(
            rounds=AgentRounds(
                node="n1",
                life="1",
                seats=Seats(shared_max=1, starting_max=1, lease_us=2_500_000, limits=node.limits),
                lease_us=2_500_000,
                limits=node.limits,
            ),
            registration=c.RegisterNode(node="n1", life="1", slots=4),
            heartbeat_s=0.25,
            report_s=1.0,
            memory_sample_s=0.1,
            control=control,
            forwarder=node.forwarder,
            leader=lambda: "n1",
            open_session=_no_session,
            send_worker=lambda _worker, _message: None,
            on_worker_death=pytest.fail,
            on_fatal=pytest.fail,
            on_refused=pytest.fail,
        )


@pytest.fixture
def desk(node: OneNode, agent: Agent) -> Desk:
    async def nothing_is_behind() -> None:
        return

    asked = AskedState(lambda: node.state, nothing_is_behind)
    return Desk(
        agent=agent,
        versions=asked.active_version,
        groups=asked.group,
        forwarder=node.forwarder,
        payloads=node.payloads,
        limits=node.limits,
        gates=Gates(node.replica, node.forwarder, node.limits),
    )


def holding(agent: Agent, execution: str, token: int) -> None:
    run = w.RunExecution(execution=execution, token=token)
    agent.rounds.heard_leader(p.ToAgent(run=run), now_us=0)


def an_end(execution: str, token: int) -> w.Word:
    end = c.EndAttempt(execution=execution, token=token, state="COMPLETED")
    return w.Word(commands=[c.Command(version=1, end_attempt=end)])


async def test_a_leader_that_refuses_a_registration_at_once_is_not_stormed(
    node: OneNode, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def refuse(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise Forbidden("the call failed: UNIMPLEMENTED: Method not found!")

    monkeypatch.setattr(node.forwarder, "insist", refuse)
    monkeypatch.setattr(agent, "_leader", lambda: None)
    running = asyncio.create_task(agent.run())
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert asked == 1


async def test_word_that_ends_an_execution_frees_its_place(
    node: OneNode, agent: Agent, desk: Desk
) -> None:
    token = await node.start("e1")
    holding(agent, "e1", token)
    answer = await desk.word(an_end("e1", token))
    assert list(answer.outcomes) == [w.WordOutcome(applied=True)]
    assert not agent.rounds.holds("e1", token)


async def test_late_word_is_refused_by_the_state_and_frees_its_place(
    node: OneNode, agent: Agent, desk: Desk
) -> None:
    token = await node.start("e1")
    holding(agent, "e1", token - 1)
    (outcome,) = (await desk.word(an_end("e1", token - 1))).outcomes
    assert (outcome.applied, outcome.code) == (False, "stale_token")
    assert not agent.rounds.holds("e1", token - 1)
    assert node.state.executions[ExecutionId("e1")].state is ExecutionState.ASSIGNED


async def test_word_that_is_refused_for_another_reason_keeps_its_place(
    node: OneNode, agent: Agent, desk: Desk
) -> None:
    token = await node.start("e1")
    holding(agent, "e1", token)
    wrong = c.EndAttempt(execution="e1", token=token, state="PENDING?")
    word = w.Word(commands=[c.Command(version=1, end_attempt=wrong)])
    (outcome,) = (await desk.word(word)).outcomes
    assert not outcome.applied
    assert agent.rounds.holds("e1", token)


async def test_worker_cannot_say_what_only_others_may(desk: Desk) -> None:
    claim = c.Command(version=1, claim_leadership=c.ClaimLeadership(node="n1"))
    with pytest.raises(Forbidden, match="claim_leadership"):
        await desk.word(w.Word(commands=[claim]))


async def test_document_of_an_execution_that_is_not_held_is_refused(
    agent: Agent, desk: Desk
) -> None:
    put = w.DocumentPut(execution="e1", token=3, content=b"large")
    with pytest.raises(StaleToken):
        await desk.document_put(put)
    holding(agent, "e1", 3)
    reference = (await desk.document_put(put)).reference
    get = w.DocumentGet(reference=reference)
    assert (await desk.document_get(get)).content == b"large"


async def test_who_is_not_held_any_more_need_not_tell_its_call_again(
    node: OneNode, agent: Agent, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_leads(*_: object, **__: object) -> None:
        raise NoLeader("no node leads at the moment")

    monkeypatch.setattr(node.forwarder, "insist", nobody_leads)
    told = w.GateTold(environment="test", connection="crm", execution="e1", token=3, failed=True)
    with pytest.raises(StaleToken):
        await desk.gate_told(told)
    holding(agent, "e1", 3)
    with pytest.raises(NoLeader):
        await desk.gate_told(told)


def from_trigger(token: int, *keys: str, process: str = "orders") -> w.TriggerSubmit:
    return w.TriggerSubmit(
        environment=ENVIRONMENT,
        process=process,
        token=token,
        submissions=[
            c.SubmitExecution(
                idempotency_key=key, body_digest="body", input=c.Payload(inline=b"[]")
            )
            for key in keys
        ],
    )


async def test_trigger_that_was_moved_submits_nothing(node: OneNode, desk: Desk) -> None:
    answer = await desk.trigger_submit(from_trigger(99, "k1"))
    assert [(outcome.applied, outcome.code) for outcome in answer.outcomes] == [
        (False, "stale_token")
    ]
    assert not node.state.executions


async def test_trigger_submits_in_its_own_name(node: OneNode, desk: Desk) -> None:
    await node.deploy("watched", has_trigger=True)
    await node.say(
        activate_version=c.ActivateVersion(
            environment=ENVIRONMENT, process="watched", version="v1", trigger_on=True
        )
    )
    member = node.state.nodes[node.state.leader]
    outcome = await node.say(
        assign_trigger=c.AssignTrigger(
            epoch=node.state.epoch,
            environment=ENVIRONMENT,
            process="watched",
            node="n1",
            incarnation=member.incarnation,
        )
    )
    token = int(getattr(outcome, "value", 0))
    answer = await desk.trigger_submit(from_trigger(token, "k1", "k1", process="watched"))
    first, again = answer.outcomes
    assert (first.applied, again.applied, first.execution == again.execution) == (True, True, True)
    execution = node.state.executions[ExecutionId(first.execution)]
    assert execution.actor == "trigger:test/watched"


async def test_trigger_of_nothing_deployed_or_over_the_limit_is_refused(
    node: OneNode, desk: Desk
) -> None:
    with pytest.raises(InvalidInput, match="wishes is not deployed"):
        await desk.trigger_submit(from_trigger(1, "k1", process="wishes"))
    many = [str(number) for number in range(node.limits.submissions_per_batch_max + 1)]
    with pytest.raises(LimitExceeded):
        await desk.trigger_submit(from_trigger(1, *many))


def told_level(agent: Agent, level: Level) -> None:
    agent.rounds.headroom_heard = (int(level), "n2")


async def test_triggers_bring_nothing_new_while_a_disk_is_full(agent: Agent, desk: Desk) -> None:
    told_level(agent, Level.NO_SUBMISSIONS)
    with pytest.raises(StorageFull, match="n2 is over submissions_refused_percent"):
        await desk.trigger_submit(from_trigger(1, "k1"))
    progress = w.TriggerSubmit(environment=ENVIRONMENT, process="orders", token=1)
    progress.group.group = "g"
    answer = await desk.trigger_submit(progress)
    assert [outcome.code for outcome in answer.outcomes] == ["stale_token"]


async def test_triggers_bring_no_documents_while_a_disk_is_nearly_full(
    agent: Agent, desk: Desk
) -> None:
    told_level(agent, Level.NO_DOCUMENTS)
    with pytest.raises(StorageFull, match="documents_refused_percent"):
        await desk.document_put(w.DocumentPut(token=1, content=b"x" * 100_000))
    answer = await desk.trigger_submit(from_trigger(99, "k1"))
    assert [outcome.code for outcome in answer.outcomes] == ["stale_token"]


async def test_group_that_nobody_knows_is_told_as_unknown(desk: Desk) -> None:
    assert not (await desk.group_get(w.GroupGet(group="g1"))).group.known
