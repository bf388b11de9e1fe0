"""What emptying a node would bring about, before anybody does it.

Pure: it reads the state and promises nothing. Documents are not here: who holds them is known to
the voters alone (`node.holders`). What stays true: the answer counts slots, labels and keys as the
planner does.
"""

from collections import Counter
from dataclasses import dataclass, field

from molecule.cluster import placement, queues
from molecule.cluster.state import ClusterState, Node, Version
from molecule.config import Timing
from molecule.model.ids import ExecutionId, NodeId, ProcessName
from molecule.scheduler import triggers
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.place import Board


@dataclass(frozen=True, slots=True)
class Move:
    """Where an execution or a trigger would go; without a node it waits, and `why` tells for what.

    `execution` is empty for a trigger.
    """

    execution: ExecutionId
    environment: str
    process: ProcessName
    node: NodeId | None
    why: str


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """What draining `node` would do."""

    node: NodeId
    refusal: str
    """A reason of `apply_draining`, when the drain would be refused; else empty."""
    executions: list[Move] = field(default_factory=list)
    triggers: list[Move] = field(default_factory=list)

    @property
    def moves(self) -> dict[NodeId, int]:
        """How many executions each other node would get at once."""
        return dict(Counter(move.node for move in self.executions if move.node is not None))

    @property
    def waits(self) -> dict[str, int]:
        """How many executions would have to wait, by what they wait for."""
        return dict(Counter(move.why for move in self.executions if move.node is None))


def plan_drain(state: ClusterState, node: Node) -> DrainPlan:
    """The plan for a node of the state."""
    others = [other for other in state.nodes.values() if other.id != node.id]
    refusal = ""
    if not node.is_up:
        refusal = "node_lost"
    elif not any(other.is_schedulable for other in others):
        refusal = "no_other_node"
    plan = DrainPlan(node.id, refusal)
    # Silence is the leader's to judge; a plan made elsewhere takes every node at its word.
    board = Board(state, Liveness(), now_ms=0, timing=Timing(), leaving=node.id)
    for execution_id in node.held:
        execution = state.executions[execution_id]
        version = queues.version_of(state, execution)
        choice = board.choose(version)
        if choice.node is not None:
            board.take(choice.node, execution.process)
        plan.executions.append(
            Move(
                execution.id,
                execution.environment,
                execution.process,
                choice.node.id if choice.node is not None else None,
                "least loaded" if choice.node is not None else _why(others, version),
            )
        )
    running = Counter(trigger.node for trigger in state.triggers.values())
    usable = [other for other in others if other.is_schedulable]
    for name in sorted(state.triggers):
        trigger = state.triggers[name]
        if trigger.node != node.id:
            continue
        version = state.versions[trigger.process, trigger.version]
        chosen = triggers.choose(version, usable, running)
        if chosen is not None:
            running[chosen.id] += 1
        plan.triggers.append(
            Move(
                ExecutionId(""),
                trigger.environment,
                trigger.process,
                chosen.id if chosen is not None else None,
                "fewest triggers" if chosen is not None else _why(others, version),
            )
        )
    return plan


def _why(others: list[Node], version: Version) -> str:
    usable = [other for other in others if other.is_schedulable]
    if not usable:
        return "a node that takes work"
    inside = [other for other in usable if not placement.is_outside(version, other)]
    if not inside:
        return f"a node in the zone {version.zone}"
    missing = {placement.missing_label(version, other) for other in inside}
    return "a free slot" if "" in missing else f"a node with the label {min(missing)}"
