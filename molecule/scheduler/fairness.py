"""Whose turn it is: the next slot among processes of the same priority, by their weights.

A process below its part of the slots comes before one that has its part; among those, the one that
is furthest behind in turns by weight. What stays true: while a process has work and less than its
part, another one gets at most a turn more than their weights say between two turns of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from molecule.cluster import queues
from molecule.cluster.state import ClusterState, DeploymentName, Lane, Share


@dataclass(slots=True)
class Claim:
    """What one process may claim in one round: its lanes, its weight, what it had so far."""

    name: DeploymentName
    weight: int
    held: int
    passed: int
    token_last: int
    served: int = 0
    part: int = 1
    lanes: list[Lane] = field(default_factory=list)

    def __lt__(self, other: "Claim") -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[bool, int, int, int, DeploymentName]:
        return (self.held >= self.part, self.passed, self.served, self.token_last, self.name)

    def take_turn(self) -> None:
        """It gets a slot."""
        self.held += 1
        self.served += 1
        self.passed += queues.TURN // self.weight


def claims(state: ClusterState, lanes: Iterable[Lane], *, slots: int) -> list[Claim]:
    """One claim for each process of these lanes, with its part of the `slots`, rounded up."""
    found: dict[DeploymentName, Claim] = {}
    for lane in lanes:
        name = (lane.environment, lane.process)
        claim = found.get(name)
        if claim is None:
            share = state.shares.get(name, Share())
            claim = found[name] = Claim(
                name,
                queues.weight_of(state, *name),
                share.held,
                max(share.passed, state.turn),
                share.token_last,
            )
        claim.lanes.append(lane)
    weights = sum(claim.weight for claim in found.values())
    for claim in found.values():
        claim.part = max(-(-slots * claim.weight // weights), 1)
    return list(found.values())
