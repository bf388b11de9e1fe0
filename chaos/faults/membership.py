"""A node leaves the cluster while it works, and joins it again with an empty folder.

What confirms it is the list of those who vote.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner import members
from chaos.runner.site import Site

LEAVES: Final = "leave_and_join"
_AWAY_S: Final = (0.5, 3.0)


@dataclass(slots=True)
class Leaves:
    """Drained, removed, ended; then let in as a newcomer under its name."""

    nodes: tuple[str, ...]
    seconds: float
    unseats: bool
    kind: str = LEAVES

    async def begin(self, site: Site) -> None:
        """Returns when it has ended."""
        await members.leaves(site, self.nodes[0])

    async def confirm(self, site: Site) -> dict[str, Any]:
        """It votes no more."""
        if not await self._has_left(site):
            raise NotConfirmed(f"{self.nodes[0]} is among those who vote")
        await asyncio.sleep(self.seconds)
        return {"voters_meanwhile": await members.voters(site)}

    async def end(self, site: Site) -> None:
        """It votes again; where it did not leave, it takes work again."""
        (node,) = self.nodes
        if await self._has_left(site):
            await site.stop(node)
            await members.joins(site, node)
        else:
            await members.undrain(site, node)
            await site.back(node)

    async def _has_left(self, site: Site) -> bool:
        return self.nodes[0] not in await members.voters(site)


def _leaves(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    return Leaves(nodes, rng.choice(_AWAY_S), aim is Aim.LEADER)


KINDS: Final = (FaultKind(LEAVES, (Aim.LEADER, Aim.BUSY, Aim.IDLE), _leaves, is_long=True),)
