"""What a leader decides from heartbeats and applied entries: answers, stops and deliveries.

Pure: the state, messages and instants come in, values go out; `leader.py` carries them out, and
`scheduler` makes the plans. What must stay true: nothing here is the only way to anything, so that
a message that is lost or dropped is made good by the comparison with the node's next heartbeat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from molecule.cluster import bounds as cluster_bounds
from molecule.cluster.changes import Changes
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
)
from molecule.config import Headroom, Limits, Timing
from molecule.model.disk import DiskReport
from molecule.model.execution import ExecutionState
from molecule.model.ids import Epoch, ExecutionId, NodeId, Token
from molecule.node import deliveries
from molecule.scheduler import headroom
from molecule.scheduler.liveness import Liveness
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_ENDED_BY_HOLDER = frozenset(
    {ExecutionState.COMPLETED, ExecutionState.IN_DOUBT, ExecutionState.WAITING}
)

_REPEAT_HEARTBEATS = 2
"""So long a delivery may be on its way before a heartbeat without it means that it was lost."""


class Delivery(NamedTuple):
    """An assignment to be made known to its node; stale once the execution has another token."""

    execution: ExecutionId
    token: Token


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows from one heartbeat: messages to its node, in order, and deliveries."""

    messages: list[p.ToAgent]
    deliver: list[Delivery]


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from one applied entry."""

    plan_now: bool
    deliver: list[Delivery]
    stops: list[tuple[NodeId, p.ToAgent]]


class LeaderRounds:
    """One leadership, from its committed claim to its loss. Only `leader.py` calls it.

    Its liveness begins empty: a new leader has heard nobody yet, and each node gets one full lease
    before it can be lost.
    """

    def __init__(
        self, epoch: Epoch, timing: Timing, headroom_settings: Headroom | None = None
    ) -> None:
        self.epoch = epoch
        self._headroom = headroom_settings or Headroom()
        self.disks: dict[NodeId, DiskReport] = {}
        """The last report of each node in this leadership; a missing one counts as senseless."""
        self.triggers: dict[NodeId, Sequence[p.Heartbeat.HeldTrigger]] = {}
        """What each node told last of the triggers that it runs."""
        self.liveness = Liveness()
        self._lease_ms = timing.lease_ms
        self._repeat_us = timing.heartbeat_ms * _REPEAT_HEARTBEATS * 1000
        self._leased: dict[NodeId, int] = {}
        """Incarnations that have a lease of this leader, given on the session that is open."""
        self._delivered: dict[NodeId, dict[ExecutionId, tuple[Token, int]]] = {}
        """By node: the token and the instant of the last delivery of each execution."""

    def session_opened(self, node: NodeId) -> None:
        """Nothing sent on an earlier session counts as delivered."""
        self._leased.pop(node, None)
        self._delivered.pop(node, None)

    def only_renews(self, node: NodeId, beat: p.Heartbeat) -> bool:
        """Whether nobody waits for the answer: it comes in time a keep-alive later, too."""
        return beat.incarnation != 0 and self._leased.get(node) == beat.incarnation

    def hear(
        self,
        state: ClusterState,
        beat: p.Heartbeat,
        *,
        node: NodeId,
        at_us: int,
        cluster_time_ms: int,
    ) -> Answer:
        """Answer a heartbeat that arrived at `at_us`; a majority has confirmed the leader since.

        A life that is not registered, or not any more, learns only that: it gets no lease, and
        nothing is compared with what it holds.
        """
        known = state.nodes.get(node)
        is_current = known is not None and known.life == beat.life and known.is_up
        self.disks[node] = disk_report(beat)
        admission = headroom.admission(state, self.disks, self._headroom)
        reply = p.HeartbeatReply(
            headroom_level=admission.level,
            fullest_node=admission.node,
            number=beat.number,
            epoch=self.epoch,
            incarnation=known.incarnation if known is not None and is_current else 0,
            superseded=known is not None and beat.life in known.past_lives,
            cluster_time_ms=cluster_time_ms,
            lease_ms=self._lease_ms,
        )
        if known is not None and is_current and known.is_draining:
            reply.draining = True
            reply.drain_left_ms = max(0, known.drain_until_ms - cluster_time_ms)
        answer = Answer([p.ToAgent(heartbeat=reply)], [])
        if known is None or not is_current:
            return answer
        self.triggers[node] = beat.triggers
        self.liveness.hear(known.id, known.incarnation, now_ms=at_us // 1000)
        self._leased[known.id] = known.incarnation
        answer.messages.extend(deliveries.surplus(known, state, beat))
        answer.messages.extend(deliveries.triggers(known, state, beat))
        for execution in deliveries.missing(known, state, beat):
            if not self._is_on_its_way(execution, at_us=at_us):
                answer.deliver.append(Delivery(execution.id, execution.token))
        return answer

    def _is_on_its_way(self, execution: Execution, *, at_us: int) -> bool:
        sent = self._delivered.get(execution.node, {}).get(execution.id)
        if sent is None:
            return False
        token, sent_us = sent
        return token == execution.token and at_us - sent_us <= self._repeat_us

    def applied(self, state: ClusterState, changes: Changes) -> Consequences:
        """Look at what an entry changed; `state` is the state behind it."""
        told = Consequences(
            plan_now=bool(
                changes.touched or changes.nodes or changes.deployments_changed or changes.triggers
            ),
            deliver=[],
            stops=[],
        )
        for transition in changes.transitions:
            if transition.target is ExecutionState.ASSIGNED:
                execution = state.executions.get(transition.execution)
                if execution is not None:
                    told.deliver.append(Delivery(execution.id, execution.token))
            elif transition.source is ExecutionState.ASSIGNED:
                told.stops.extend(self._taken(transition.execution, transition.target))
        return told

    def _taken(
        self, execution: ExecutionId, target: ExecutionState
    ) -> Iterator[tuple[NodeId, p.ToAgent]]:
        """Stops for a holder whose work was taken away; its next heartbeat would bring them too."""
        for node, delivered in self._delivered.items():
            sent = delivered.pop(execution, None)
            if sent is None or target in _ENDED_BY_HOLDER:
                continue
            stop = w.StopExecution(
                execution=execution, token=sent[0], reason=f"is {target.value} now"
            )
            yield node, p.ToAgent(stop=stop)

    def delivered(self, node: NodeId, delivery: Delivery, *, now_us: int) -> None:
        """The delivery is on its way to its node."""
        self._delivered.setdefault(node, {})[delivery.execution] = (delivery.token, now_us)


def disk_report(beat: p.Heartbeat) -> DiskReport:
    """The disk as a heartbeat tells it."""
    disk = beat.disk
    return DiskReport(
        total_bytes=disk.total_bytes,
        available_bytes=disk.available_bytes,
        reserve_bytes=disk.reserve_bytes,
        reserve_held_bytes=disk.reserve_held_bytes,
    )


def deliverable(state: ClusterState, delivery: Delivery) -> Execution | None:
    """The execution, if it is still assigned under this token."""
    execution = state.executions.get(delivery.execution)
    if execution is None or execution.token != delivery.token:
        return None
    return execution if execution.state is ExecutionState.ASSIGNED else None


def bounds(timing: Timing, limits: Limits) -> c.Bounds:
    """The numbers that all voters must share, as a claim carries them into the state."""
    return cluster_bounds.to_wire(limits, timing)
