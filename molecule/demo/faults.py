"""When the demo breaks something, and what. Pure: looks at a view of the cluster, names a victim.

Faults come at shares of the work, so that they hit its middle on a fast and on a slow machine.
What must stay true: nothing is broken while an earlier victim is still missing, or where too
little is in flight to prove anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

IN_FLIGHT_MIN: Final = 50
FREEZE_S: Final = 5.0


class FaultKind(StrEnum):
    """What is done to a whole node: every process of it."""

    LEADER_KILL = "leader_kill"
    NODE_KILL = "node_kill"
    FREEZE = "freeze"
    DISK_LOSS = "disk_loss"
    """Its data is deleted too: it never comes back, and a new node replaces it."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A kind of fault, and the share of the work (percent) from which on it is due."""

    kind: FaultKind
    percent: int


PLAN: Final = (
    PlannedFault(FaultKind.LEADER_KILL, 20),
    PlannedFault(FaultKind.NODE_KILL, 40),
    PlannedFault(FaultKind.FREEZE, 60),
    PlannedFault(FaultKind.DISK_LOSS, 75),
)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the cluster shows it. `is_ready`: up, registered, and answering its probe."""

    id: str
    is_ready: bool
    in_flight: int


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What one look at the cluster gave."""

    leader: str
    nodes: tuple[NodeView, ...]
    accepted: int
    ended: int

    def node(self, node_id: str) -> NodeView | None:
        """One node by its id."""
        return next((node for node in self.nodes if node.id == node_id), None)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the executions that a victim held."""

    count: int
    ms_to_running: int


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault as the report tells it."""

    kind: FaultKind
    node: str
    in_flight: int
    moved: int
    ms_to_next_accept: int
    ms_to_running: int
    replaced_by: str = ""
    ms_to_replaced: int = 0
    """From the loss until the new node votes."""


@dataclass(frozen=True, slots=True)
class Due:
    """A fault that must happen now, to this node."""

    kind: FaultKind
    victim: NodeView


def due(plan: Sequence[PlannedFault], done: int, view: ClusterView, *, work: int) -> Due | None:
    """The next fault of the plan, after `done` of them, if now is the time for it."""
    if done >= len(plan) or view.ended * 100 < plan[done].percent * work:
        return None
    if not all(node.is_ready for node in view.nodes):
        return None
    victim = _victim(plan[done].kind, view)
    if victim is None or victim.in_flight < IN_FLIGHT_MIN:
        return None
    return Due(plan[done].kind, victim)


def _victim(kind: FaultKind, view: ClusterView) -> NodeView | None:
    if kind is FaultKind.LEADER_KILL:
        return view.node(view.leader)
    followers = [node for node in view.nodes if node.id != view.leader]
    return max(followers, key=lambda node: node.in_flight, default=None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an execution is: state, node, and how often it was assigned."""

    state: str
    node: str
    attempts: int


def has_left(before: Place, now: Place) -> bool:
    """True when an execution is no longer assigned to the victim that held it `before`."""
    return now.node != before.node or now.attempts != before.attempts or now.state != "ASSIGNED"


def was_moved(before: Place, now: Place) -> bool:
    """True when somebody else got it or will; false when the victim had ended it in time."""
    is_terminal = now.state in {"COMPLETED", "FAILED", "CANCELLED"}
    return now.attempts > before.attempts or not is_terminal


def runs_again(before: Place, now: Place) -> bool:
    """True when it runs elsewhere, has ended, or waits for a good cause."""
    return has_left(before, now) and now.state != "PENDING"
