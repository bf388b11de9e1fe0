"""What a node does before a planned end: it gives back its work, then its leadership.

What stays true: it is bounded, and whatever is still here afterwards moves like the work of a node
that died.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from molecule.config import Limits
from molecule.model.errors import MoleculeError
from molecule.node.forwarder import Forwarder
from molecule.wire.v1 import commands_pb2 as c

_LAST_WORDS_S = 1.0
"""After executions were told to stop at once."""


class Leadership(Protocol):
    """The part of the Raft driver that is needed here."""

    @property
    def is_leader(self) -> bool:
        """Whether this node is Raft's leader now."""
        ...

    def transfer(self) -> None:
        """Ask another voter to campaign at once."""
        ...


class HandOver:
    """One per life of the node process."""

    def __init__(
        self,
        *,
        node: str,
        life: str,
        forwarder: Forwarder,
        emptied: Callable[[], Awaitable[None]],
        leadership: Leadership,
        limits: Limits,
    ) -> None:
        self._node = node
        self._life = life
        self._forwarder = forwarder
        self._emptied = emptied
        self._leadership = leadership
        self._limits = limits
        self.follows = asyncio.Event()
        """Set while another node leads, or none."""
        self.follows.set()

    def role_changed(self, *, is_leader: bool) -> None:
        """Whether this node leads now."""
        if is_leader:
            self.follows.clear()
        else:
            self.follows.set()

    async def run(self) -> None:
        """Returns when the node may end."""
        await self._give_work_back()
        if self._leadership.is_leader:
            self._leadership.transfer()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.hand_over_ms_max / 1000):
                    await self.follows.wait()

    async def _give_work_back(self) -> None:
        limits = self._limits
        drain = c.DrainNode(
            node=self._node,
            life=self._life,
            timeout_ms=limits.stop_drain_ms_max,
            actor=c.Actor(kind="node", name=self._node),
        )
        command = c.Command(version=1, drain_node=drain)
        ask_s = limits.stop_drain_ask_ms_max / 1000
        with contextlib.suppress(MoleculeError, TimeoutError):
            await self._forwarder.insist([command], within_s=ask_s)
            async with asyncio.timeout(limits.stop_drain_ms_max / 1000 + _LAST_WORDS_S):
                await self._emptied()
