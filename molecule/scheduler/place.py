"""Choose a node for an execution: preferred, then spread, then least loaded; within its needs.

Order among executions belongs to `plan.py`. What stays true: a node that is not chosen has a
reason, and within one round no node is promised more than its free slots.
"""

from collections import Counter
from dataclasses import dataclass

from molecule.cluster import placement, queues
from molecule.cluster.execution import (
    NO_NODE,
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
    Node,
    Version,
)
from molecule.config import Timing
from molecule.model.ids import NodeId, ProcessName
from molecule.scheduler.liveness import Liveness, is_quiet


@dataclass(frozen=True, slots=True)
class NotChosen:
    """A node that did not get the execution, and why."""

    node: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where an execution should run. `node` is None when it fits nowhere now."""

    node: Node | None
    not_chosen: tuple[NotChosen, ...]


class Board:
    """The nodes as one round sees them; its own promises count as taken slots."""

    __slots__ = ("_leaving", "_nodes", "_of_process", "_quiet", "_state", "_taken")

    def __init__(
        self,
        state: ClusterState,
        liveness: Liveness,
        *,
        now_ms: int,
        timing: Timing,
        leaving: NodeId = NO_NODE,
    ) -> None:
        self._leaving = leaving
        """A node to be judged as if it drained."""
        self._nodes = [state.nodes[name] for name in sorted(state.nodes)]
        self._quiet = {
            node.id: is_quiet(liveness, node.id, now_ms=now_ms, timing=timing)
            for node in self._nodes
        }
        self._taken = {node.id: len(node.held) for node in self._nodes}
        self._of_process: dict[ProcessName, Counter[NodeId]] = {}
        self._state = state

    def choose(self, version: Version, *, only: NodeId = NO_NODE) -> Choice:
        """The node for one execution of `version`; with `only`, that node or none."""
        reasons = {node.id: self._unfit(version, node, only) for node in self._nodes}
        fit = [node for node in self._nodes if not reasons[node.id]]
        if not fit:
            return Choice(None, _told(reasons))
        best = min(fit, key=lambda node: self._rank(version, node))
        for node in fit:
            reasons[node.id] = self._why_not(version, node, best)
        del reasons[best.id]
        return Choice(best, _told(reasons))

    def take(self, node: Node, process: ProcessName) -> None:
        """Count a slot of it as taken in this round."""
        self._taken[node.id] += 1
        if process in self._of_process:
            self._of_process[process][node.id] += 1

    def slots(self) -> int:
        """All slots of the nodes that could take anything, taken ones too."""
        return sum(
            node.slots for node in self._nodes if node.is_schedulable and not self._quiet[node.id]
        )

    def has_room(self) -> bool:
        """True while any node could take anything."""
        return any(self._free(node) > 0 for node in self._nodes)

    def _free(self, node: Node) -> int:
        if not node.is_schedulable or self._quiet[node.id] or node.id == self._leaving:
            return 0
        return node.slots - self._taken[node.id]

    def _unfit(self, version: Version, node: Node, only: NodeId) -> str:
        if not node.is_up:
            return "lost"
        if node.is_draining or node.id == self._leaving:
            return "draining"
        if self._quiet[node.id]:
            return "silent"
        if only and node.id != only:
            return f"held_for {only}"
        if placement.is_outside(version, node):
            return f"zone {version.zone}"
        label = placement.missing_label(version, node)
        if label:
            return f"label {label}"
        return "" if self._free(node) > 0 else "full"

    def _rank(self, version: Version, node: Node) -> tuple[int, int, float, NodeId]:
        load = self._taken[node.id] / max(node.slots, 1)
        return -preferred(version, node), self._crowd(version, node), load, node.id

    def _crowd(self, version: Version, node: Node) -> int:
        """How many of the process are there already, when it wants to be spread."""
        if not version.spread:
            return 0
        counts = self._of_process.get(version.process)
        if counts is None:
            counts = self._of_process[version.process] = crowd(self._state, version.process)
        if version.spread == "node":
            return counts[node.id]
        return sum(counts[other.id] for other in self._nodes if other.zone == node.zone)

    def _why_not(self, version: Version, node: Node, best: Node) -> str:
        if preferred(version, node) != preferred(version, best):
            return "less_preferred"
        if self._crowd(version, node) != self._crowd(version, best):
            return "more_of_the_process"
        return "more_loaded"


def explain(
    state: ClusterState,
    execution: Execution,
    liveness: Liveness,
    *,
    now_ms: int,
    timing: Timing,
) -> tuple[NotChosen, ...]:
    """Why a pending execution is not running: its key, or the reason of each node."""
    if not execution.ready_serial:
        key = queues.key_of(execution)
        held = "key_held_for_dead_letters" if key in state.key_holds else "key_held"
        return (NotChosen(NO_NODE, held),)
    if queues.is_paused(state, execution.environment, execution.process):
        return (NotChosen(NO_NODE, "paused"),)
    board = Board(state, liveness, now_ms=now_ms, timing=timing)
    held_for = execution.progress.held_for if execution.progress is not None else NO_NODE
    choice = board.choose(queues.version_of(state, execution), only=held_for)
    return choice.not_chosen


def crowd(state: ClusterState, process: ProcessName) -> Counter[NodeId]:
    """How many executions of a process each node holds."""
    return Counter(
        node.id
        for node in state.nodes.values()
        for execution_id in node.held
        if state.executions[execution_id].process == process
    )


def preferred(version: Version, node: Node) -> int:
    """How many of the preferred labels the node has."""
    return sum(node.labels.get(name) == value for name, value in version.prefer.items())


def _told(reasons: dict[NodeId, str]) -> tuple[NotChosen, ...]:
    return tuple(NotChosen(node, reason) for node, reason in reasons.items())
