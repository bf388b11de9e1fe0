"""Leadership gained, lost and gained again: what runs with it ends with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from molecule.config import Limits, Timing
from molecule.model.errors import NoLeader
from molecule.model.ids import NodeId
from molecule.node.clock import ClusterClock
from molecule.node.leader import Barrier, Leader, Session
from molecule.wire.v1 import peer_pb2 as p
from tests.adapters.node.one_node import OneNode
from tests.unit.node.beats import a_beat


class Agent:
    """The other end of a session: says a heartbeat after each answer and hears what it is told."""

    def __init__(self, *beats: p.Heartbeat) -> None:
        self._beats = beats
        self._answered = asyncio.Semaphore(1)
        self.heard: asyncio.Queue[p.ToAgent] = asyncio.Queue()

    async def words(self) -> AsyncIterator[p.FromAgent]:
        for beat in self._beats:
            await self._answered.acquire()
            yield p.FromAgent(heartbeat=beat)
        await asyncio.Event().wait()

    async def hear(self, messages: Sequence[p.ToAgent]) -> None:
        self._answered.release()
        for message in messages:
            self.heard.put_nowait(message)


def a_leader(
    node: OneNode,
    confirmed: asyncio.Event | None = None,
    *,
    barrier: Barrier | None = None,
) -> Leader:
    """Its majority answers at once or, after the claim, when `confirmed` is set."""

    async def majority(*, at_once: bool = True) -> int:
        if confirmed is not None and leader.epoch is not None:
            await confirmed.wait()
        return node.state.index

    leader = Leader(
        node="n1",
        life="1",
        replica=node.replica,
        rows=node.store,
        proposer=node.proposer,
        clock=ClusterClock(voters=("n1",)),
        barrier=barrier or majority,
        timing=Timing(),
        limits=node.limits,
    )
    return leader


async def epoch_heard(leader: Leader, group: asyncio.TaskGroup) -> tuple[int, asyncio.Task[None]]:
    """The epoch that a new session is answered with, and the session."""
    agent = Agent(a_beat())
    session = group.create_task(leader.serve("n1", agent.words(), agent.hear))
    return (await agent.heard.get()).heartbeat.epoch, session


async def test_every_leadership_has_an_epoch_of_its_own_and_ends_its_sessions(
    node: OneNode,
) -> None:
    leader = a_leader(node)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(leader.run())
        before = node.state.epoch
        epochs = []
        for term in (1, 2):
            leader.role_changed(term)
            epoch, session = await epoch_heard(leader, group)
            epochs.append((epoch, leader.epoch))
            leader.role_changed(None)
            await session
            assert leader.epoch is None
        running.cancel()
    assert epochs == [(before + 1, before + 1), (before + 2, before + 2)]


async def test_no_lease_is_renewed_before_a_majority_confirms_the_leader(node: OneNode) -> None:
    confirmed = asyncio.Event()
    leader = a_leader(node, confirmed)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(leader.run())
        leader.role_changed(1)
        agent = Agent(a_beat())
        session = group.create_task(leader.serve("n1", agent.words(), agent.hear))
        await asyncio.sleep(0.05)
        assert leader.epoch is not None
        assert agent.heard.empty()
        confirmed.set()
        assert (await agent.heard.get()).heartbeat.lease_ms == Timing().lease_ms
        leader.role_changed(None)
        await session
        running.cancel()


async def test_a_majority_that_was_asked_before_a_heartbeat_came_confirms_nothing_for_it(
    node: OneNode,
) -> None:
    """What began before may have been answered by voters that follow another leader since."""
    beats: asyncio.Queue[p.FromAgent] = asyncio.Queue()
    rounds: list[asyncio.Event] = []
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def barrier(*, at_once: bool = True) -> int:
        if leader.epoch is not None:
            rounds.append(asyncio.Event())
            begun.put_nowait(None)
            await rounds[-1].wait()
        return node.state.index

    async def words() -> AsyncIterator[p.FromAgent]:
        while True:
            yield await beats.get()
            beats.task_done()

    leader = a_leader(node, barrier=barrier)
    agent = Agent(a_beat())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(leader.run())
        leader.role_changed(1)
        session = group.create_task(leader.serve("n1", words(), agent.hear))
        beats.put_nowait(p.FromAgent(heartbeat=a_beat(number=1)))
        await begun.get()
        beats.put_nowait(p.FromAgent(heartbeat=a_beat(number=2)))
        await beats.join()
        rounds[0].set()
        assert (await agent.heard.get()).heartbeat.number == 1
        await begun.get()
        assert agent.heard.empty()
        rounds[1].set()
        assert (await agent.heard.get()).heartbeat.number == 2
        leader.role_changed(None)
        await session
        running.cancel()


async def test_first_lease_of_a_session_is_in_a_hurry_and_a_renewal_is_not(node: OneNode) -> None:
    hurries: list[bool] = []

    async def barrier(*, at_once: bool = True) -> int:
        if leader.epoch is not None:
            hurries.append(at_once)
        return node.state.index

    leader = a_leader(node, barrier=barrier)
    incarnation = node.state.nodes[NodeId("n1")].incarnation
    beats = [a_beat(number, incarnation=incarnation) for number in (1, 2)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(leader.run())
        leader.role_changed(1)
        for _ in range(2):
            agent = Agent(*beats)
            session = group.create_task(leader.serve("n1", agent.words(), agent.hear))
            told = [(await agent.heard.get()).heartbeat.lease_ms for _ in beats]
            assert told == [Timing().lease_ms] * 2
            session.cancel()
        leader.role_changed(None)
        running.cancel()
    assert hurries == [True, False] * 2


async def test_session_is_refused_by_a_node_that_does_not_lead(node: OneNode) -> None:
    agent = Agent(a_beat())
    with pytest.raises(NoLeader):
        await a_leader(node).serve("n1", agent.words(), agent.hear)


async def test_assignment_is_delivered_to_the_session_of_its_node(node: OneNode) -> None:
    leader = a_leader(node)
    token = await node.start("e1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(leader.run())
        leader.role_changed(1)
        agent = Agent(a_beat())
        session = group.create_task(leader.serve("n1", agent.words(), agent.hear))
        kinds = [(await agent.heard.get()) for _ in range(2)]
        leader.role_changed(None)
        await session
        running.cancel()
    assert [message.WhichOneof("kind") for message in kinds] == ["heartbeat", "run"]
    assert (kinds[1].run.execution, kinds[1].run.token) == ("e1", token)


async def test_agent_that_takes_nothing_any_more_loses_its_session() -> None:
    session = Session(NodeId("n1"), Limits(session_messages_max=2))
    for number in range(3):
        session.say(p.ToAgent(heartbeat=p.HeartbeatReply(number=number)))
    assert [message async for message in session.outgoing()] == []
