"""The shell around `LeaderRounds`: what runs only while this node leads, begun and ended together.

Winning an election is not leadership, a committed claim is: nothing is planned, renewed or
delivered before it. What must stay true: a heartbeat is answered only after a majority round begun
after it arrived, so that a leader cut off from the others renews no lease.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog

from molecule.cluster.changes import EntryResult
from molecule.cluster.execution import Execution
from molecule.cluster.outcome import Applied
from molecule.cluster.state import ClusterState
from molecule.config import Headroom, Limits, Timing
from molecule.model.disk import DiskReport, Level
from molecule.model.errors import MoleculeError, NoLeader
from molecule.model.ids import Epoch, ExecutionId, NodeId, Token
from molecule.node import deliveries, leader_rounds, trigger_health
from molecule.node.clock import ClusterClock, boottime_us
from molecule.node.leader_rounds import Delivery, LeaderRounds
from molecule.node.proposer import Proposer
from molecule.node.purges import Purges
from molecule.node.replica import Replica
from molecule.rpc.message_queue import MessageQueue
from molecule.scheduler import headroom, plan
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p

_log = structlog.get_logger()

_DELIVERED_AT_ONCE = 64
_ROUND_S = 0.1
"""Time alone brings work too: a lease that ran out, a wait that is due."""

Write = Callable[[Sequence[p.ToAgent]], Awaitable[None]]
"""Sends what is ready at the same time together."""


class Barrier(Protocol):
    """Returns once a majority round that began after the call confirmed this leader."""

    def __call__(self, *, at_once: bool = True) -> Awaitable[int]:
        """Not `at_once`: after the round that is due next anyway."""
        ...


class Session:
    """An agent's open session: what is to be sent to it, until it ends."""

    def __init__(self, node: NodeId, limits: Limits) -> None:
        self.node = node
        self._messages_max = limits.session_messages_max
        self._outgoing: MessageQueue[p.ToAgent] = MessageQueue(limits)

    def say(self, message: p.ToAgent) -> None:
        """Queue a message. An agent that takes none any more loses its session instead.

        It opens another, and is told what it misses in answer to its first heartbeat there.
        """
        if len(self._outgoing) >= self._messages_max:
            self._outgoing.clear()
            self.end()
            return
        self._outgoing.put(message)

    def end(self) -> None:
        """Send what is queued, then end."""
        self._outgoing.end()

    async def outgoing(self) -> AsyncIterator[Sequence[p.ToAgent]]:
        """Messages in order, until the end."""
        while messages := await self._outgoing.take():
            yield messages


@dataclass(frozen=True, slots=True)
class _Arrived:
    session: Session
    beat: p.Heartbeat
    at_us: int


class Leader:
    """On every node; active on the one whose claim committed."""

    def __init__(
        self,
        *,
        node: str,
        life: str,
        replica: Replica,
        rows: deliveries.PayloadRows,
        proposer: Proposer,
        clock: ClusterClock,
        barrier: Barrier,
        timing: Timing,
        limits: Limits,
        headroom: Headroom | None = None,
        purges: Purges | None = None,
    ) -> None:
        self._node = node
        self._life = life
        self._replica = replica
        self._rows = rows
        self._proposer = proposer
        self._clock = clock
        self._barrier = barrier
        self._timing = timing
        self._limits = limits
        self._headroom = headroom or Headroom()
        self._purges = purges
        self._term: int | None = None
        self._role_changed = asyncio.Event()
        self._rounds: LeaderRounds | None = None
        self._sessions: dict[NodeId, Session] = {}
        self._arrived: dict[NodeId, _Arrived] = {}
        """By node, its newest heartbeat without an answer: it says all that older ones said."""
        self._beats = asyncio.Event()
        self._plan_now = asyncio.Event()
        self._to_deliver: dict[ExecutionId, Token] = {}
        """In order; at most one per execution, so it is bounded by what is assigned."""
        self._deliver_now = asyncio.Event()
        replica.listen(self._entry_applied)

    # ---- gaining and losing

    def role_changed(self, term: int | None) -> None:
        """`term` while this node is Raft's leader, None while it is not."""
        if term == self._term:
            return
        # At once: sessions that are opened from now on belong to the new term.
        self._lose()
        self._term = term
        self._role_changed.set()

    @property
    def epoch(self) -> Epoch | None:
        """The epoch in which this node leads; None while it does not."""
        return self._rounds.epoch if self._rounds is not None else None

    async def run(self) -> None:
        """Lead whenever elected, until cancelled."""
        while True:
            self._role_changed.clear()
            term = self._term
            if term is None:
                await self._role_changed.wait()
                continue
            async with asyncio.TaskGroup() as group:
                leading = group.create_task(self._lead(term))
                await self._role_changed.wait()
                leading.cancel()

    async def _lead(self, term: int) -> None:
        epoch = await self._claim(term)
        if epoch is None:
            return
        rounds = self._rounds = LeaderRounds(epoch, self._timing, self._headroom)
        self._plan_now.set()
        _log.info("leadership_gained", epoch=epoch, term=term)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer_beats(rounds))
            group.create_task(self._plan_rounds(rounds))
            group.create_task(self._deliver(rounds))
            if self._purges is not None:
                group.create_task(self._purges.lead(epoch, level=lambda: self._level(rounds)))

    def _level(self, rounds: LeaderRounds) -> Level:
        return headroom.admission(self._replica.state, rounds.disks, self._headroom).level

    @property
    def disks(self) -> Mapping[NodeId, DiskReport]:
        """What nodes reported of their disks to this leader; empty elsewhere."""
        return self._rounds.disks if self._rounds is not None else {}

    def triggers(self) -> p.TriggersReply:
        """How triggers fare, as their nodes told this leader. `NoLeader` elsewhere."""
        if self._rounds is None:
            raise NoLeader(f"node {self._node} does not lead")
        return trigger_health.told(self._rounds.triggers)

    def _lose(self) -> None:
        if self._rounds is not None:
            _log.info("leadership_lost", epoch=self._rounds.epoch)
        self._rounds = None
        self._arrived.clear()
        self._close_sessions()
        self._to_deliver.clear()

    def _close_sessions(self) -> None:
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()

    async def _claim(self, term: int) -> Epoch | None:
        claim = c.ClaimLeadership(
            node=self._node,
            life=self._life,
            term=term,
            bounds=leader_rounds.bounds(self._timing, self._limits),
        )
        while self._term == term:
            # What is applied behind the barrier includes every entry of earlier leaders.
            with contextlib.suppress(MoleculeError):
                await self._barrier()
                claim.leaderless_ms = self._clock.unheard_ms()
                self._clock.claim(state_ms=self._replica.state.time_ms)
                command = c.Command(version=1, claim_leadership=claim)
                result = await self._proposer.propose([command])
                (outcome,) = result.outcomes
                if isinstance(outcome, Applied) and self._term == term:
                    return Epoch(outcome.value)
            await asyncio.sleep(_ROUND_S / 10)
        return None

    # ---- sessions

    async def serve(self, node: str, incoming: AsyncIterator[p.FromAgent], write: Write) -> None:
        """Carry one agent's session until either side ends it. `NoLeader` elsewhere."""
        if self._term is None:
            raise NoLeader(f"node {self._node} does not lead")
        session = Session(NodeId(node), self._limits)
        former = self._sessions.get(session.node)
        if former is not None:
            former.end()
        self._sessions[session.node] = session
        if self._rounds is not None:
            self._rounds.session_opened(session.node)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(session, incoming))
            try:
                async for messages in session.outgoing():
                    await write(messages)
            finally:
                reading.cancel()
                if self._sessions.get(session.node) is session:
                    del self._sessions[session.node]

    async def _read(self, session: Session, incoming: AsyncIterator[p.FromAgent]) -> None:
        async for message in incoming:
            # A session that was replaced may still have words under way; they are old.
            if self._sessions.get(session.node) is session:
                self._arrived[session.node] = _Arrived(session, message.heartbeat, boottime_us())
                self._beats.set()
        session.end()

    async def _answer_beats(self, rounds: LeaderRounds) -> None:
        while True:
            while not self._arrived:
                self._beats.clear()
                await self._beats.wait()
            batch = list(self._arrived.values())
            self._arrived.clear()
            # A lease outlasts many keep-alives: to renew it needs no round of its own.
            can_wait = all(rounds.only_renews(each.session.node, each.beat) for each in batch)
            try:
                await self._barrier(at_once=not can_wait)
            except MoleculeError:
                # Not confirmed by a majority: no lease is renewed; the role change ends this task.
                await asyncio.sleep(_ROUND_S)
                continue
            for arrived in batch:
                self._answer(rounds, arrived)

    def _answer(self, rounds: LeaderRounds, arrived: _Arrived) -> None:
        if self._rounds is not rounds:
            return
        session = arrived.session
        self._clock.hear(
            session.node, wall_clock_ms=arrived.beat.wall_clock_ms, at_us=arrived.at_us
        )
        answer = rounds.hear(
            self._replica.state,
            arrived.beat,
            node=session.node,
            at_us=arrived.at_us,
            cluster_time_ms=self._clock.now_ms(),
        )
        for message in answer.messages:
            session.say(message)
        self._queue(answer.deliver)

    # ---- planning

    def _entry_applied(self, result: EntryResult) -> None:
        if self._rounds is None:
            return
        told = self._rounds.applied(self._replica.state, result.changes)
        if told.plan_now:
            self._plan_now.set()
        self._queue(told.deliver)
        for node, stop in told.stops:
            if (session := self._sessions.get(node)) is not None:
                session.say(stop)

    async def _plan_rounds(self, rounds: LeaderRounds) -> None:
        while True:
            self._plan_now.clear()
            state = self._replica.state
            moment = plan.Moment(now_ms=boottime_us() // 1000, time_ms=self._clock.now_ms())
            rounds.liveness.notice(state, now_ms=moment.now_ms)
            planned = plan.plan(
                state, rounds.liveness, moment, timing=self._timing, limits=self._limits
            )
            if planned:
                with contextlib.suppress(MoleculeError):
                    await self._proposer.propose([each.command for each in planned])
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S):
                    await self._plan_now.wait()

    # ---- delivery

    def _queue(self, asked: Iterable[Delivery]) -> None:
        for delivery in asked:
            self._to_deliver[delivery.execution] = delivery.token
            self._deliver_now.set()

    async def _deliver(self, rounds: LeaderRounds) -> None:
        while True:
            while not self._to_deliver:
                self._deliver_now.clear()
                await self._deliver_now.wait()
            state = self._replica.state
            batch = self._next_deliveries(state)
            names = [name for _, execution in batch for name in deliveries.needed(execution)]
            found = await self._rows.payloads(names)
            for delivery, _ in batch:
                # It may have been taken away, or moved, while its rows were read.
                execution = leader_rounds.deliverable(state, delivery)
                session = self._sessions.get(execution.node) if execution is not None else None
                if execution is not None and session is not None:
                    run = deliveries.run_message(state, found, execution)
                    rounds.delivered(session.node, delivery, now_us=boottime_us())
                    session.say(p.ToAgent(run=run))

    def _next_deliveries(self, state: ClusterState) -> list[tuple[Delivery, Execution]]:
        """Those whose rows are read together, in order; what nobody waits for any more is left."""
        batch = []
        for execution_id in list(islice(self._to_deliver, _DELIVERED_AT_ONCE)):
            delivery = Delivery(execution_id, self._to_deliver.pop(execution_id))
            execution = leader_rounds.deliverable(state, delivery)
            if execution is not None and execution.node in self._sessions:
                batch.append((delivery, execution))
        return batch
