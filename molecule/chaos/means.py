"""Which faults can be made from here, at whom, and why the others cannot; only decides.

What must stay true: no more voters are harmed at once than the cluster can lose, unless that was
asked for.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from molecule.chaos.faults import Aim, Kind
from molecule.chaos.hooks import Hooks

_BY_PROCESSES: Final = frozenset({Kind.KILL, Kind.KILL_WORKER, Kind.FREEZE})
PROCESSES: Final = "processes"
HOOK: Final = "hook"


@dataclass(frozen=True, slots=True)
class Members:
    """Whom the cluster consists of, as it tells it now."""

    nodes: tuple[str, ...]
    """Those that are up: at others a fault would show what was so before."""
    voters: tuple[str, ...]
    leader: str
    may_lose: int

    @classmethod
    def told(cls, status: Mapping[str, Any]) -> "Members":
        """From what `GET /api/v1/cluster` answers."""
        rows = [row for row in status.get("nodes") or () if isinstance(row, dict)]
        lost = status.get("may_lose_voters")
        return cls(
            nodes=tuple(str(row["id"]) for row in rows if "id" in row and row.get("up") is True),
            voters=tuple(str(voter) for voter in status.get("voters") or ()),
            leader=str(status.get("leader") or ""),
            may_lose=lost if isinstance(lost, int) else 0,
        )

    @property
    def majority(self) -> int:
        """So many voters decide."""
        return len(self.voters) // 2 + 1

    def loses_majority(self, nodes: tuple[str, ...]) -> bool:
        """Harming these leaves no majority."""
        return len(set(nodes) & set(self.voters)) > self.may_lose


@dataclass(frozen=True, slots=True)
class Means:
    """What there is to make faults with."""

    local: frozenset[str]
    """Nodes whose processes run on this machine, started from the context's folder."""
    hooks: Hooks
    lose_majority: bool = False

    def by(self, kind: Kind, node: str) -> str:
        """The means for a kind at a node; empty when there is none."""
        if node in self.local and kind in _BY_PROCESSES:
            return PROCESSES
        return HOOK if kind in self.hooks.by_kind else ""


@dataclass(frozen=True, slots=True)
class Option:
    """A kind of fault: at which nodes it can be made and by what, or why not."""

    kind: Kind
    by: str
    nodes: tuple[str, ...]
    why: str

    @property
    def is_possible(self) -> bool:
        """It can be made at somebody."""
        return bool(self.nodes)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that was decided on."""

    kind: Kind
    aim: Aim
    nodes: tuple[str, ...]
    by: str


def options(means: Means, members: Members) -> tuple[Option, ...]:
    """Every kind of fault."""
    return tuple(_option(means, members, kind) for kind in Kind)


def strike(means: Means, members: Members, kind: Kind, rng: random.Random) -> Strike | None:
    """A fault of this kind that may be made now; None when there is none."""
    aims = list(_aims(means, members, kind))
    if not aims:
        return None
    aim, candidates = rng.choice(aims)
    count = members.majority if aim is Aim.MAJORITY else 1
    nodes = tuple(sorted(rng.sample(candidates, count)))
    return Strike(kind, aim, nodes, means.by(kind, nodes[0]))


def _option(means: Means, members: Members, kind: Kind) -> Option:
    reached = [node for node in members.nodes if means.by(kind, node)]
    if not reached:
        return Option(kind, "", (), _unreached(means, kind))
    by = ", ".join(sorted({means.by(kind, node) for node in reached}))
    nodes = tuple(node for node in reached if _may_harm(means, members, kind, node))
    if not nodes:
        why = "the cluster can lose no voter now; --lose-majority makes it all the same"
        return Option(kind, by, (), why)
    spared = [node for node in reached if node not in nodes]
    why = f"not at {', '.join(spared)}: the cluster can lose no voter now" if spared else ""
    return Option(kind, by, nodes, why)


def _unreached(means: Means, kind: Kind) -> str:
    if kind not in _BY_PROCESSES:
        here = "what runs on this machine has no links that could be cut; " if means.local else ""
        return f"{here}the context has no hook `{kind}`"
    nobody = "no node runs on this machine from the context's folder"
    if kind is Kind.KILL_WORKER:
        return f"{nobody}, and hooks reach whole nodes only"
    return f"{nobody}, and the context has no hook `{kind}`"


def _may_harm(means: Means, members: Members, kind: Kind, node: str) -> bool:
    if kind is Kind.KILL_WORKER or means.lose_majority:
        return True
    return not members.loses_majority((node,))


def _aims(means: Means, members: Members, kind: Kind) -> Iterator[tuple[Aim, list[str]]]:
    """Aims with the nodes that each may choose from."""
    nodes = [
        node
        for node in members.nodes
        if means.by(kind, node) and _may_harm(means, members, kind, node)
    ]
    voters = [node for node in nodes if node in members.voters]
    others = [node for node in nodes if node not in members.voters]
    followers = [node for node in voters if node != members.leader]
    if members.leader in voters:
        yield Aim.LEADER, [members.leader]
    if followers:
        yield Aim.FOLLOWER, followers
    if others:
        yield Aim.WORKER_NODE, others
    is_many = kind is not Kind.KILL_WORKER and 1 < members.majority <= len(voters)
    one_means = len({means.by(kind, node) for node in voters}) == 1
    if means.lose_majority and is_many and one_means:
        yield Aim.MAJORITY, voters
