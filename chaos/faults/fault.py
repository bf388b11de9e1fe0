"""What a fault is, and at whom it is aimed.

What must stay true: a fault counts only when its effect was seen, never because a command
that makes it returned; `end` heals whatever `begin` did, also when `begin` came half way.
"""

import enum
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chaos.runner.site import Need, Site


class NotConfirmed(Exception):
    """The fault was made and nothing shows that it worked."""


class Aim(enum.StrEnum):
    """At whom."""

    LEADER = "leader"
    BUSY = "busy follower"
    IDLE = "idle follower"
    TWO = "two nodes"
    ALL = "all nodes"
    TARGET = "the target"


class Fault(Protocol):
    """One fault, made for its victims."""

    kind: str
    nodes: tuple[str, ...]
    unseats: bool
    """Whoever leads among its victims cannot stay leader."""

    async def begin(self, site: Site) -> None:
        """Make it."""

    async def confirm(self, site: Site) -> dict[str, Any]:
        """What shows that it works; `NotConfirmed` when nothing does in time."""

    async def end(self, site: Site) -> None:
        """Heal it; returns when the victims take work again."""


class OnLinks:
    """A fault of links. Two nodes share one, so two of these would heal or confirm each other."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault: whom it can be aimed at, and how one is made."""

    name: str
    aims: tuple[Aim, ...]
    make: Callable[[random.Random, tuple[str, ...], Aim], Fault]
    why_not: Callable[[], str] = str
    """Why it cannot be made on this machine; empty: it can."""
    is_long: bool = False
    """It takes so long that a short run has no time for it."""
    needs: frozenset[Need] = frozenset()
    """What its nodes must have beside what every cluster has."""
    is_alone: bool = False
    """Never at the same time as another one: both can take what nobody promised to keep."""


def may_strike_together(one: Fault, other: Fault) -> bool:
    """Not at the same node, and not by the same means: one would confirm or heal the other."""
    if set(one.nodes) & set(other.nodes) or type(one) is type(other):
        return False
    return not (isinstance(one, OnLinks) and isinstance(other, OnLinks))


async def victims(site: Site, aim: Aim, rng: random.Random) -> tuple[str, ...]:
    """The nodes that an aim means right now."""
    leader = await site.leader()
    followers = [node for node in await site.busiest() if node != leader]
    match aim:
        case Aim.LEADER:
            return (leader,)
        case Aim.BUSY:
            return (followers[0],)
        case Aim.IDLE:
            return (followers[-1],)
        case Aim.TWO:
            return (leader, rng.choice(followers))
        case Aim.ALL:
            return site.nodes
        case Aim.TARGET:
            return ()


Kinds = Mapping[str, FaultKind]
