"""Links between nodes that carry nothing for a while, or nothing in one direction.

What confirms it is what they held back.
"""

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed, OnLinks
from chaos.runner.site import Site
from molecule.cli.waiting import NotInTime, until

_CUTS_S: Final = (0.5, 2.0, 6.0, 10.0)
_UNSEATS_FROM_S: Final = 3.0
_HIT_WITHIN_S: Final = 10.0


@dataclass(slots=True)
class Cut(OnLinks):
    """Some links of the cluster are cut: bytes wait, connections stay open, nobody is told."""

    kind: str
    nodes: tuple[str, ...]
    unseats: bool
    pairs: tuple[tuple[str, str], ...]
    seconds: float
    flaps: int = 1
    """How often it is cut and healed within the time."""
    hits_within_s: float = _HIT_WITHIN_S
    _before: dict[tuple[str, str], int] = field(default_factory=dict)

    async def begin(self, site: Site) -> None:
        """All at once."""
        self.pairs = self.pairs or _around(site, self.nodes)
        self._before = {pair: site.links.held(*pair) for pair in self.pairs}
        self._cut(site)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Each of the links has held something back."""

        async def look() -> bool | None:
            return True if all(self._held(site).values()) else None

        try:
            await until(
                look, what="something that a cut held", within_s=self.hits_within_s, pause_s=0.05
            )
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {self._held(site)}") from None
        for _ in range(self.flaps - 1):
            await asyncio.sleep(self.seconds / self.flaps / 2)
            self._heal(site)
            await asyncio.sleep(self.seconds / self.flaps / 2)
            self._cut(site)
        await asyncio.sleep(self.seconds / self.flaps)
        held = sum(self._held(site).values())
        return {"bytes_and_callers_held": held, "links": len(self.pairs), "seconds": self.seconds}

    async def end(self, site: Site) -> None:
        """Let everything through that waited."""
        self._heal(site)
        await site.ready(*self.nodes)

    def _held(self, site: Site) -> dict[str, int]:
        return {"-".join(pair): site.links.held(*pair) - self._before[pair] for pair in self.pairs}

    def _cut(self, site: Site) -> None:
        for pair in self.pairs:
            site.links.cut(*pair)

    def _heal(self, site: Site) -> None:
        for pair in self.pairs:
            site.links.heal_link(*pair)


@dataclass(slots=True)
class OneWay(OnLinks):
    """What some nodes say reaches some others no more; what those say arrives."""

    nodes: tuple[str, ...]
    unseats: bool
    is_mute: bool
    """Nobody hears the node; otherwise it hears nobody."""
    seconds: float
    kind: str
    hits_within_s: float = _HIT_WITHIN_S
    _ways: tuple[tuple[str, str], ...] = ()
    _held_before: tuple[int, ...] = ()
    _passed_before: tuple[int, ...] = ()

    async def begin(self, site: Site) -> None:
        """All ways at once."""
        pairs = _around(site, self.nodes)
        self._ways = pairs if self.is_mute else tuple((other, node) for node, other in pairs)
        self._held_before = self._held(site)
        self._passed_before = self._passed(site)
        for way in self._ways:
            site.links.cut_way(*way)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """Each way has held something back, and the other direction of one carried something."""

        async def look() -> bool | None:
            return (min(self._news(site)) > 0) or None

        try:
            await until(
                look, what="something that each way held", within_s=self.hits_within_s, pause_s=0.05
            )
        except NotInTime as error:
            raise NotConfirmed(f"{error}: {self._news(site)}") from None
        await asyncio.sleep(self.seconds)
        passed = [
            now - before
            for now, before in zip(self._passed(site), self._passed_before, strict=True)
        ]
        if not any(passed):
            raise NotConfirmed("nothing came the other way")
        return {
            "bytes_held": sum(self._news(site)),
            "bytes_the_other_way": sum(passed),
            "seconds": self.seconds,
        }

    async def end(self, site: Site) -> None:
        """Let everything through that waited."""
        for way in self._ways:
            site.links.heal_way(*way)
        await site.ready(*self.nodes)

    def _held(self, site: Site) -> tuple[int, ...]:
        return tuple(site.links.held_way(*way) for way in self._ways)

    def _passed(self, site: Site) -> tuple[int, ...]:
        return tuple(site.links.passed_way(target, source) for source, target in self._ways)

    def _news(self, site: Site) -> list[int]:
        return [
            now - before for now, before in zip(self._held(site), self._held_before, strict=True)
        ]


def _around(site: Site, nodes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Every link between these nodes and the others."""
    others = [node for node in site.nodes if node not in nodes]
    return tuple(itertools.product(nodes, others))


def _isolate(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_CUTS_S)
    return Cut("isolate", nodes, _is_unseated(aim, seconds), (), seconds)


def _one_link(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    """A leader and one follower do not hear each other, and both hear the others."""
    one, other = nodes
    return Cut("one_link", nodes, False, ((one, other),), rng.choice(_CUTS_S))


def _flap(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Cut("flapping", nodes, False, (), rng.choice(_CUTS_S[1:3]), flaps=4)


def _apart(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    """Nobody hears anybody."""
    pairs = tuple(itertools.combinations(nodes, 2))
    return Cut("all_apart", nodes, False, pairs, rng.choice(_CUTS_S[:3]))


def _mute(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_CUTS_S)
    return OneWay(nodes, _is_unseated(aim, seconds), is_mute=True, seconds=seconds, kind="mute")


def _deaf(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_CUTS_S)
    return OneWay(nodes, _is_unseated(aim, seconds), is_mute=False, seconds=seconds, kind="deaf")


def _is_unseated(aim: Aim, seconds: float) -> bool:
    """A leader that was not heard, or heard nobody, for so long leads no more."""
    return aim is Aim.LEADER and seconds >= _UNSEATS_FROM_S


@dataclass(slots=True)
class Halves(Cut):
    """The cluster falls apart: its victims are in the smaller part, with others beside them.

    Who leads is among the others, where it is no victim.
    """

    _smaller: tuple[str, ...] = ()

    async def begin(self, site: Site) -> None:
        """All links between both parts at once."""
        leader = await site.leader()
        others = [node for node in site.nodes if node not in (*self.nodes, leader)]
        count = max(0, (len(site.nodes) - 1) // 2 - len(self.nodes))
        self._smaller = (*self.nodes, *others[:count])
        self.pairs = _around(site, self._smaller)
        await Cut.begin(self, site)

    async def end(self, site: Site) -> None:
        """Let everything through that waited."""
        self._heal(site)
        await site.ready(*self._smaller)


@dataclass(slots=True)
class Bridge(Cut):
    """Two parts of the cluster see each other no more, and both see the one in the middle."""

    async def begin(self, site: Site) -> None:
        """All links between both parts at once."""
        others = [node for node in site.nodes if node not in self.nodes]
        half = len(others) // 2
        self.pairs = tuple(itertools.product(others[:half], others[half:]))
        await Cut.begin(self, site)


def _halves(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_CUTS_S)
    return Halves("halves", nodes, _is_unseated(aim, seconds), (), seconds)


def _bridge(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Bridge("bridge", nodes, False, (), rng.choice(_CUTS_S))


KINDS: Final = (
    FaultKind("isolate", (Aim.LEADER, Aim.BUSY, Aim.IDLE), _isolate),
    FaultKind("one_link", (Aim.TWO,), _one_link),
    FaultKind("mute", (Aim.LEADER, Aim.BUSY, Aim.IDLE), _mute),
    FaultKind("deaf", (Aim.LEADER, Aim.BUSY, Aim.IDLE), _deaf),
    FaultKind("halves", (Aim.LEADER, Aim.BUSY), _halves),
    FaultKind("bridge", (Aim.LEADER, Aim.BUSY), _bridge),
    FaultKind("flapping", (Aim.LEADER, Aim.BUSY), _flap),
    FaultKind("all_apart", (Aim.ALL,), _apart),
)
