"""Volatile executions on the workers of this node: at most so many at once, never without a lease.

Who asks, and what happens when one is lost, is `volatile_door.py`'s business. What must stay true:
an error that is raised here means that nothing ran.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from molecule.config import Limits
from molecule.model.errors import (
    Draining,
    MoleculeError,
    NoLeader,
    NotFound,
    Overloaded,
    Unavailable,
)
from molecule.model.execution import ExecutionState
from molecule.node.clock import boottime_us
from molecule.node.peers import SayMore
from molecule.node.worker_links import OnMore
from molecule.wire.v1 import worker_pb2 as w

_NOT_BEGUN = (NotFound.code, Unavailable.code, NoLeader.code)


class Link(Protocol):
    """The stream of a worker."""

    async def ask(self, request: w.WorkerRequest, on_more: OnMore, /) -> w.WorkerReply:
        """Its last reply; `Unavailable` when it dies first."""
        ...


class Links(Protocol):
    """The streams of this node's workers."""

    def ready(self) -> Link | None:
        """The least busy one that takes requests now."""
        ...

    async def opened(self) -> Link:
        """The same, once there is one."""
        ...


class VolatileHost:
    """One per node process; its own callers and those of other nodes come here."""

    def __init__(
        self,
        *,
        node: str,
        links: Links,
        lease_until_us: Callable[[], int],
        is_draining: Callable[[], bool],
        want_worker: Callable[[], None],
        limits: Limits,
    ) -> None:
        self._node = node
        self._links = links
        self._lease_until_us = lease_until_us
        self._is_draining = is_draining
        self._want_worker = want_worker
        self._limits = limits
        self.running = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def run(
        self, order: w.RunVolatile, say_more: SayMore, *, at_once: bool
    ) -> w.VolatileSaid:
        """What it came to; `at_once`: refuse rather than wait for a worker to start.

        Raises `Overloaded`, `Draining`, `NoLeader` or `Unavailable` when it did not begin.
        """
        self._check()
        self.running += 1
        self._is_idle.clear()
        try:
            async with asyncio.timeout(self._within_s(order)):
                said = await self._on(await self._link(at_once=at_once), order, say_more)
        except TimeoutError:
            message = "the execution took longer than its time-out"
            state = ExecutionState.FAILED.value
            said = w.VolatileSaid(state=state, error_code="timeout", error=message)
        finally:
            self.running -= 1
            if not self.running:
                self._is_idle.set()
        said.node = self._node
        return said

    def check_lease(self) -> None:
        """Raise `NoLeader` while this node may be cut off.

        It would run, or have others run, what was replaced or paused since.
        """
        if self._lease_until_us() <= boottime_us():
            raise NoLeader(f"node {self._node} has heard no leader with a majority for a lease")

    async def emptied(self) -> None:
        """Return when none runs here."""
        await self._is_idle.wait()

    def _check(self) -> None:
        self.check_lease()
        if self._is_draining():
            raise Draining(f"node {self._node} is being emptied")
        limit = self._limits.volatile_executions_max
        if self.running >= limit:
            raise Overloaded(
                f"node {self._node} runs volatile_executions_max, {limit} of them",
                limit="volatile_executions_max",
            )

    def _within_s(self, order: w.RunVolatile) -> float:
        # The engine ends it at its deadline; this is for a worker that is stuck.
        return (order.deadline_in_ms + self._limits.volatile_grace_ms) / 1_000

    async def _link(self, *, at_once: bool) -> Link:
        link = self._links.ready()
        if link is not None:
            return link
        self._want_worker()
        if at_once:
            raise Unavailable(f"no worker of node {self._node} is ready")
        return await self._links.opened()

    async def _on(self, link: Link, order: w.RunVolatile, say_more: SayMore) -> w.VolatileSaid:
        request = w.WorkerRequest(volatile=order)
        try:
            reply = await link.ask(request, lambda more: say_more(more.volatile))
        except Unavailable as ended:
            return w.VolatileSaid(lost=ended.message)
        if reply.code in _NOT_BEGUN:
            raise Unavailable(f"the process cannot be read here now: {reply.message}")
        if reply.code:
            state = ExecutionState.FAILED.value
            return w.VolatileSaid(state=state, error_code=reply.code, error=reply.message)
        return reply.volatile


def strongest(refusals: list[MoleculeError]) -> MoleculeError:
    """Of several refusals the one that tells a caller most about what to do."""
    order = (Overloaded, NoLeader, Draining)
    for kind in order:
        for refusal in refusals:
            if isinstance(refusal, kind):
                return refusal
    return refusals[0] if refusals else Unavailable("no node can run it now")
