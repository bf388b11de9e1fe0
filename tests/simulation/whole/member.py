"""A whole node process as a member of the simulated world: consensus, and the node on top of it.

`ReplicaMember` does the driver's duties towards disk and network; here is its other side, towards
the node. What must stay true: what the node is told comes in the driver's order.
"""

import time
from collections.abc import Callable
from typing import Any, cast

from molecule.config import Limits
from molecule.model.errors import Overloaded
from molecule.raft.outbox import Outbox, Role, SnapshotMark
from molecule.raft.settings import Guards, Timing
from molecule.raft.waiting import Waiting
from tests.simulation.member import Port
from tests.simulation.replica_member import ReplicaMember
from tests.simulation.whole.calls import Calls, Spoken
from tests.simulation.whole.loop import ProcessLoop
from tests.simulation.whole.node import Node
from tests.simulation.whole.replicated import Replicated

MakeNode = Callable[["NodeMember"], Node]


class NodeMember(ReplicaMember):
    """One life of a node process; a `node.Consensus` for its node."""

    def __init__(
        self,
        port: Port,
        loop: ProcessLoop,
        guards: Guards,
        *,
        limits: Limits,
        make_node: MakeNode,
        soon: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.calls = Calls(port, loop)
        self.node: Node | None = None
        self._soon = soon
        self._limits = limits
        self._waiting = Waiting()
        self._role: Role | None = None
        self._applied_last = 0
        # The seam is typed for consensus alone; whole worlds give this.
        self.copy: Replicated = cast("Any", port.register)
        super().__init__(port, guards, Timing())
        with loop.entered():
            self.node = make_node(self)
            self._tell_role()

    # Inputs.

    def link_up(self, peer: str, connection: int) -> None:
        with self.loop.entered():
            self.calls.link_up(peer, connection)
        super().link_up(peer, connection)

    def link_down(self, peer: str, connection: int) -> None:
        with self.loop.entered():
            self.calls.link_down(peer, connection)
        super().link_down(peer, connection)

    def receive(self, peer: str, connection: int, frame: object) -> None:
        if isinstance(frame, Spoken):
            with self.loop.entered():
                self.calls.hear(peer, connection, frame)
        else:
            super().receive(peer, connection, frame)

    def settle(self) -> None:
        with self.loop.entered():
            super().settle()

    def _tell_role(self) -> None:
        """What came before there was a node."""
        if self._role is not None and self.node is not None:
            self.node.role_changed(self._role)

    # What the node asks (`node.Consensus`).

    @property
    def leader_id(self) -> str | None:
        return self._replica.leader_id

    @property
    def applied_index(self) -> int:
        return max(self._applied_last, self._handed.index)

    async def commit(self, data: bytes) -> object:
        """As the driver's `propose`."""
        if self._waiting.count >= self._limits.proposals_queued_max:
            raise Overloaded("too many proposals wait for their commit")
        ticket = self._waiting.next_ticket()
        self._replica.propose(data, ticket, self._port.now_s())
        future = self.loop.create_future()
        self._waiting.proposal(ticket, future, time.monotonic())
        self._soon()
        return await future

    async def fresh(self, *, at_once: bool = True) -> int:
        """As the driver's `barrier`."""
        ticket = self._waiting.next_ticket()
        self._replica.barrier(ticket, self._port.now_s(), at_once=at_once)
        future = self.loop.create_future()
        self._waiting.barrier(ticket, future)
        if at_once:
            self._soon()
        index: int = await future
        return index

    async def until_applied(self, index: int) -> None:
        """As the driver's."""
        if index > self.applied_index:
            future = self.loop.create_future()
            self._waiting.until_applied(index, future)
            await future

    # What comes of a round, in the driver's order.

    def _apply(self, out: Outbox) -> None:
        waiting, port = self._waiting, self._port
        for settled in out.settled:
            waiting.settled(settled, time.monotonic())
        for answer in out.barriers:
            waiting.answered(answer, self.applied_index)
        if out.role is not None:
            self._role = out.role
            if self.node is not None:
                self.node.role_changed(out.role)
        for entry in out.committed:
            result: object = (entry.index, ())
            if entry.data:
                port.applied(entry.index, entry.term, entry.data, in_term=self._replica.term)
                result = (entry.index, self.copy.said)
            self._handed = SnapshotMark(entry.index, entry.term)
            self._applied_last = entry.index
            waiting.applied(entry.index, result)
        if out.committed:
            waiting.reached(self.applied_index)
