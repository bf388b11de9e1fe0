"""The leader's memory of heartbeats, and its verdict on nodes that are silent.

Answering heartbeats belongs to the leader's shell, ending assignments to `ExpireNode`. What stays
true: a node is called lost only after a whole lease and margin in which this leader listened.
"""

from dataclasses import dataclass

from molecule.cluster.state import ClusterState
from molecule.config import Timing
from molecule.model.ids import Incarnation, NodeId


@dataclass(slots=True)
class Heard:
    """When a life of a node was heard last, on the leader's own monotonic clock."""

    incarnation: Incarnation
    at_ms: int


class Liveness:
    """Heartbeats by node. Only the leader's shell changes it: a new one for each leadership.

    A new leader has heard nobody. Judging by what the one before heard would move every execution
    at once, so `notice` gives each node one whole lease from the first round on.
    """

    __slots__ = ("heard",)

    def __init__(self) -> None:
        self.heard: dict[NodeId, Heard] = {}

    def notice(self, state: ClusterState, *, now_ms: int) -> None:
        """Begin a round: new lives count as heard now, nodes that are not up are forgotten."""
        for node in state.nodes.values():
            known = self.heard.get(node.id)
            if not node.is_up:
                self.heard.pop(node.id, None)
            elif known is None or known.incarnation != node.incarnation:
                self.heard[node.id] = Heard(node.incarnation, now_ms)

    def hear(self, node: NodeId, incarnation: Incarnation, *, now_ms: int) -> None:
        """A heartbeat arrived. One of an earlier life says nothing about this one."""
        known = self.heard.get(node)
        if known is None:
            self.heard[node] = Heard(incarnation, now_ms)
        elif incarnation >= known.incarnation:
            known.incarnation = incarnation
            known.at_ms = max(known.at_ms, now_ms)

    def silent_ms(self, node: NodeId, *, now_ms: int) -> int:
        """How long nothing was heard; 0 for a node that was never noticed."""
        known = self.heard.get(node)
        return max(now_ms - known.at_ms, 0) if known is not None else 0


@dataclass(frozen=True, slots=True)
class Lost:
    """A life from which nothing was heard for lease and margin."""

    node: NodeId
    incarnation: Incarnation
    silent_for_ms: int


def lost(state: ClusterState, liveness: Liveness, *, now_ms: int, timing: Timing) -> list[Lost]:
    """Nodes that are up in the state and silent for lease and margin, by name."""
    verdicts = []
    for name in sorted(state.nodes):
        node = state.nodes[name]
        known = liveness.heard.get(name)
        if not node.is_up or known is None or known.incarnation != node.incarnation:
            continue
        silent_ms = now_ms - known.at_ms
        # The leader before may have granted longer leases than this one does.
        if silent_ms >= max(timing.lease_ms + timing.lease_margin_ms, state.lease_hold_ms):
            verdicts.append(Lost(name, node.incarnation, silent_ms))
    return verdicts


def is_quiet(liveness: Liveness, node: NodeId, *, now_ms: int, timing: Timing) -> bool:
    """True when half a lease passed in silence: no new work for it, but it keeps what it has."""
    return liveness.silent_ms(node, now_ms=now_ms) * 2 > timing.lease_ms
