"""The shell of leadership: all that runs only while this node leads, started and ended together.

Winning an election is not leadership, a committed claim is: nothing is planned, renewed or
delivered before it. What must stay true: a heartbeat is answered only after a majority round begun
after it arrived, so that a leader cut off from the others renews no lease.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from molecule.cluster.changes import EntryResult
from molecule.cluster.outcome import Applied
from molecule.config import Limits, Timing
from molecule.model.errors import MoleculeError, NoLeader
from molecule.model.execution import ExecutionState
from molecule.model.ids import Epoch, ExecutionId, NodeId
from molecule.node import deliveries
from molecule.node.clock import ClusterClock, boottime_us
from molecule.node.proposer import Proposer
from molecule.node.replica import Replica
from molecule.scheduler import plan
from molecule.scheduler.liveness import Liveness
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_log = structlog.get_logger()

_ROUND_S = 0.1
"""Time alone brings work too: a lease that ran out, a wait that is due."""

_ENDED_BY_HOLDER = frozenset(
    {ExecutionState.COMPLETED, ExecutionState.IN_DOUBT, ExecutionState.WAITING}
)

Write = Callable[[p.ToAgent], Awaitable[None]]


@dataclass(slots=True)
class Seat:
    """An agent's open session."""

    node: NodeId
    outgoing: asyncio.Queue[p.ToAgent | None] = field(default_factory=asyncio.Queue)
    delivered: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Execution -> token and instant of its last delivery: not again while it may be on its way."""


@dataclass(frozen=True, slots=True)
class _Arrived:
    seat: Seat
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
        barrier: Callable[[], Awaitable[int]],
        timing: Timing,
        limits: Limits,
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
        self._term: int | None = None
        self._role_changed = asyncio.Event()
        self._epoch: Epoch | None = None
        self._liveness: Liveness | None = None
        self._seats: dict[NodeId, Seat] = {}
        self._arrived: deque[_Arrived] = deque()
        self._beats = asyncio.Event()
        self._plan_now = asyncio.Event()
        self._to_deliver: asyncio.Queue[tuple[ExecutionId, int]] = asyncio.Queue()
        replica.listen(self._entry_applied)

    # ---- gaining and losing

    def role_changed(self, term: int | None) -> None:
        """`term` while this node is Raft's leader, None while it is not."""
        self._term = term
        if term is None:
            self._epoch = None
            self._close_seats()
        self._role_changed.set()

    @property
    def epoch(self) -> Epoch | None:
        """The epoch in which this node leads; None while it does not."""
        return self._epoch

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
            self._lose()

    async def _lead(self, term: int) -> None:
        epoch = await self._claim(term)
        if epoch is None:
            return
        # A new leader has heard nobody yet: each node gets one full lease before it can be lost.
        self._liveness = Liveness()
        self._epoch = epoch
        self._plan_now.set()
        _log.info("leadership_gained", epoch=epoch, term=term)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer_beats())
            group.create_task(self._plan_rounds(self._liveness))
            group.create_task(self._deliver())

    def _lose(self) -> None:
        if self._epoch is not None:
            _log.info("leadership_lost", epoch=self._epoch)
        self._epoch = None
        self._liveness = None
        self._arrived.clear()
        self._close_seats()
        while not self._to_deliver.empty():
            self._to_deliver.get_nowait()

    def _close_seats(self) -> None:
        for seat in self._seats.values():
            seat.outgoing.put_nowait(None)
        self._seats.clear()

    async def _claim(self, term: int) -> Epoch | None:
        limits, timing = self._limits, self._timing
        claim = c.ClaimLeadership(
            node=self._node,
            life=self._life,
            term=term,
            bounds=c.Bounds(
                lease_ms=timing.lease_ms,
                lease_margin_ms=timing.lease_margin_ms,
                dedup_window_ms=limits.dedup_window_ms,
                dedup_keys_max=limits.dedup_keys_max,
                pending_executions_max=limits.pending_executions_max,
                intents_open_per_execution_max=limits.intents_open_per_execution_max,
                dead_letters_per_execution_max=limits.dead_letters_per_execution_max,
                timeline_rows_per_execution_max=limits.timeline_rows_per_execution_max,
                timeline_text_length_max=limits.timeline_text_length_max,
            ),
        )
        while self._term == term:
            # What is applied behind the barrier includes every entry of earlier leaders.
            with contextlib.suppress(MoleculeError):
                await self._barrier()
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
        seat = Seat(NodeId(node))
        former = self._seats.get(seat.node)
        if former is not None:
            former.outgoing.put_nowait(None)
        self._seats[seat.node] = seat
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(seat, incoming))
            try:
                while (message := await seat.outgoing.get()) is not None:
                    await write(message)
            finally:
                reading.cancel()
                if self._seats.get(seat.node) is seat:
                    del self._seats[seat.node]

    async def _read(self, seat: Seat, incoming: AsyncIterator[p.FromAgent]) -> None:
        async for message in incoming:
            self._arrived.append(_Arrived(seat, message.heartbeat, boottime_us()))
            self._beats.set()
        seat.outgoing.put_nowait(None)

    async def _answer_beats(self) -> None:
        while True:
            while not self._arrived:
                self._beats.clear()
                await self._beats.wait()
            batch = list(self._arrived)
            self._arrived.clear()
            try:
                await self._barrier()
            except MoleculeError:
                # Not confirmed by a majority: no lease is renewed; the role change ends this task.
                await asyncio.sleep(_ROUND_S)
                continue
            for arrived in batch:
                self._answer(arrived)

    def _answer(self, arrived: _Arrived) -> None:
        state, seat, beat = self._replica.state, arrived.seat, arrived.beat
        epoch, liveness = self._epoch, self._liveness
        if epoch is None or liveness is None:
            return
        node = state.nodes.get(seat.node)
        is_current = node is not None and node.life == beat.life and node.is_up
        reply = p.HeartbeatReply(
            number=beat.number,
            epoch=epoch,
            incarnation=node.incarnation if node is not None and is_current else 0,
            superseded=node is not None and beat.life in node.past_lives,
            cluster_time_ms=self._clock.now_ms(),
        )
        seat.outgoing.put_nowait(p.ToAgent(heartbeat=reply))
        if node is None or not is_current:
            return
        liveness.hear(node.id, node.incarnation, now_ms=arrived.at_us // 1000)
        for stop in deliveries.surplus(node, state, beat):
            seat.outgoing.put_nowait(stop)
        for message in deliveries.triggers(node, state, beat):
            seat.outgoing.put_nowait(message)
        again_us = self._timing.heartbeat_ms * 2000
        for execution in deliveries.missing(node, state, beat):
            token, at_us = seat.delivered.get(execution.id, (0, 0))
            if token != execution.token or arrived.at_us - at_us > again_us:
                self._to_deliver.put_nowait((execution.id, execution.token))

    # ---- planning

    def _entry_applied(self, result: EntryResult) -> None:
        if self._epoch is None:
            return
        changes = result.changes
        if changes.touched or changes.nodes or changes.deployments_changed or changes.triggers:
            self._plan_now.set()
        executions = self._replica.state.executions
        for transition in changes.transitions:
            if transition.target is ExecutionState.ASSIGNED:
                execution = executions.get(transition.execution)
                if execution is not None:
                    self._to_deliver.put_nowait((execution.id, execution.token))
            elif transition.source is ExecutionState.ASSIGNED:
                self._taken(transition.execution, transition.target)

    def _taken(self, execution: ExecutionId, target: ExecutionState) -> None:
        """Tell a holder whose work was taken away; its next heartbeat would be answered so too."""
        for seat in self._seats.values():
            delivered = seat.delivered.pop(execution, None)
            if delivered is None or target in _ENDED_BY_HOLDER:
                continue
            stop = w.StopExecution(
                execution=execution, token=delivered[0], reason=f"is {target.value} now"
            )
            seat.outgoing.put_nowait(p.ToAgent(stop=stop))

    async def _plan_rounds(self, liveness: Liveness) -> None:
        while True:
            self._plan_now.clear()
            state = self._replica.state
            moment = plan.Moment(now_ms=boottime_us() // 1000, time_ms=self._clock.now_ms())
            liveness.notice(state, now_ms=moment.now_ms)
            planned = plan.plan(state, liveness, moment, timing=self._timing, limits=self._limits)
            if planned:
                with contextlib.suppress(MoleculeError):
                    await self._proposer.propose([each.command for each in planned])
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S):
                    await self._plan_now.wait()

    # ---- delivery

    async def _deliver(self) -> None:
        while True:
            execution_id, token = await self._to_deliver.get()
            state = self._replica.state
            execution = state.executions.get(execution_id)
            if execution is None or execution.token != token:
                continue
            if execution.state is not ExecutionState.ASSIGNED:
                continue
            seat = self._seats.get(execution.node)
            if seat is None:
                continue
            run = await deliveries.run_message(state, self._rows, execution)
            if execution.token == token and execution.state is ExecutionState.ASSIGNED:
                seat.delivered[execution_id] = (token, boottime_us())
                seat.outgoing.put_nowait(p.ToAgent(run=run))
