"""Links between nodes that are late, narrow, or break again and again.

What confirms it is how late the links passed things, and what they broke.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed, OnLinks
from chaos.runner.site import Site
from molecule.cli.waiting import NotInTime, until

_SECONDS: Final = (2.0, 6.0)
_DELAYS_S: Final = (0.02, 0.1, 0.4)
_NARROW_BYTES_S: Final = 8_000.0
"""64 kbit/s."""
_LATE_S: Final = 0.05
"""Below this lateness is noise."""
_RESETS: Final = (3, 8)
_RESET_EVERY_S: Final = 0.4
_HIT_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Slow(OnLinks):
    """All links of a node pass everything later, or only so much of it."""

    kind: str
    nodes: tuple[str, ...]
    delay_s: float
    """The least; up to twice as much."""
    bytes_per_s: float
    seconds: float
    unseats: bool = False
    """Heartbeats may come in time all the same."""
    hits_within_s: float = _HIT_WITHIN_S
    _before: dict[str, float] = field(default_factory=dict)

    async def begin(self, site: Site) -> None:
        """One link after the other."""
        (node,) = self.nodes
        self._before = {other: site.links.late_s(node, other) for other in _others(site, node)}
        for other in self._before:
            site.links.slow(
                node,
                other,
                delay_s=(self.delay_s, 2 * self.delay_s),
                bytes_per_s=self.bytes_per_s,
            )

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Each link has made something wait, for as long as it delays everything."""

        async def look() -> bool | None:
            least_s = max(self.delay_s, _LATE_S)
            return all(late_s >= least_s for late_s in self._late_s(site).values()) or None

        try:
            await until(
                look, what="something that was late", within_s=self.hits_within_s, pause_s=0.05
            )
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {self._late_s(site)}") from None
        await asyncio.sleep(self.seconds)
        return {
            "late_s_in_sum": round(sum(self._late_s(site).values()), 3),
            "delay_ms": round(self.delay_s * 1000),
            "bytes_per_s": self.bytes_per_s,
            "seconds": self.seconds,
        }

    async def end(self, site: Site) -> None:
        """What waited goes on at once."""
        (node,) = self.nodes
        for other in self._before:
            site.links.slow(node, other)
        await site.ready(*self.nodes)

    def _late_s(self, site: Site) -> dict[str, float]:
        (node,) = self.nodes
        return {
            other: site.links.late_s(node, other) - before for other, before in self._before.items()
        }


@dataclass(slots=True)
class Resets(OnLinks):
    """Whatever connection a node has to others is broken, again and again."""

    nodes: tuple[str, ...]
    count: int
    unseats: bool = False
    """It dials again at once."""
    kind: str = "resets"
    every_s: float = _RESET_EVERY_S
    _before: int = 0

    async def begin(self, site: Site) -> None:
        """Once."""
        self._before = self._broken(site)
        self._break(site)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Connections were there to be broken, also those that were dialled anew."""
        first = self._broken(site) - self._before
        for _ in range(self.count - 1):
            await asyncio.sleep(self.every_s)
            self._break(site)
        broken = self._broken(site) - self._before
        if not first or (self.count > 1 and broken == first):
            raise NotConfirmed(f"connections broken at first: {first}, in all: {broken}")
        return {"connections_broken": broken, "times": self.count}

    async def end(self, site: Site) -> None:
        """Nothing is left to heal."""
        await site.ready(*self.nodes)

    def _break(self, site: Site) -> None:
        (node,) = self.nodes
        for other in _others(site, node):
            site.links.reset(node, other)

    def _broken(self, site: Site) -> int:
        (node,) = self.nodes
        return sum(site.links.resets(node, other) for other in _others(site, node))


def _others(site: Site, node: str) -> list[str]:
    return [other for other in site.nodes if other != node]


def _slow(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Slow("slow_link", nodes, rng.choice(_DELAYS_S), 0.0, rng.choice(_SECONDS))


def _narrow(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Slow("narrow_link", nodes, 0.0, _NARROW_BYTES_S, rng.choice(_SECONDS))


def _resets(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Resets(nodes, rng.choice(_RESETS))


_NODES: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)
KINDS: Final = (
    FaultKind("slow_link", _NODES, _slow),
    FaultKind("narrow_link", _NODES, _narrow),
    FaultKind("resets", _NODES, _resets),
)
