"""Who leads, asked of the voters by a node that hears no log.

What stays true: an answer is only a hint where to ask; whoever is asked as leader and does not lead
says so.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from molecule.model.errors import MoleculeError
from molecule.node.addresses import Addresses
from molecule.raft.configuration import Configuration, Member
from molecule.wire.v1 import peer_pb2 as p

_EVERY_S = 1.0
_SOON_S = 0.1


class LeaderWatch:
    """On worker nodes only."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        ask: Callable[[str], Awaitable[p.MembersReply]],
        changed: Callable[[], None],
    ) -> None:
        self._addresses = addresses
        self._ask = ask
        self._changed = changed
        self.leader: str | None = None

    async def run(self) -> None:
        """Ask the leader, or else any voter, once a second; more often while none is known."""
        while True:
            found = await self._find()
            if found != self.leader:
                self.leader = found
                self._changed()
            await asyncio.sleep(_EVERY_S if self.leader else _SOON_S)

    async def _find(self) -> str | None:
        # The one that led a moment ago knows best whether it still does.
        order = sorted(self._addresses.voters, key=lambda voter: voter != self.leader)
        for voter in order:
            with contextlib.suppress(MoleculeError):
                told = await self._ask(voter)
                members = (Member(each.node, each.address) for each in told.voters)
                self._addresses.follow(Configuration(tuple(members)))
                if told.leader:
                    return told.leader
        return None
