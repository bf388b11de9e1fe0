"""Commands that empty a node and let it work again.

Handing back what it holds belongs to the node itself (`node.agent_draining`): only it knows where
an execution can stop. What stays true: a node that drains gets nothing new, and loses at once what
can start elsewhere without it, its triggers.
"""

from molecule.cluster.apply_deployments import actor_text, drop_trigger
from molecule.cluster.bounds import duration, instant
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState, Node
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire


def drain_node(state: ClusterState, command: wire.DrainNode, changes: Changes) -> Outcome:
    """Begin to empty a node; said again, it changes only until when executions may go on."""
    node = state.nodes.get(NodeId(command.node))
    if node is None:
        return Rejected("unknown_node")
    if not node.is_up:
        return Rejected("node_lost", {"reason": node.lost_reason})
    if command.life and command.life != node.life:
        return Rejected("unknown_life", {"incarnation": node.incarnation})
    # A life that ends anyway may as well hand its work back where nobody takes it yet.
    if not command.life and not any(
        other.is_schedulable for other in state.nodes.values() if other.id != node.id
    ):
        return Rejected("no_other_node")

    changes.dirty.mark("nodes", node.id)
    changes.nodes[node.id] = None
    was_asked_by_person = node.is_draining and not node.drain_life
    repeated = node.is_draining
    node.is_draining = True
    node.drain_until_ms = instant(state.time_ms + duration(command.timeout_ms))
    if not repeated:
        node.drain_at_ms = state.time_ms
    if not was_asked_by_person:
        node.drain_life = command.life
        node.drain_actor = actor_text(command.actor)
        node.drain_index = state.index
    take_triggers(state, node, changes)
    return Applied(len(node.held), {"repeated": True} if repeated else {})


def undrain_node(state: ClusterState, command: wire.UndrainNode, changes: Changes) -> Outcome:
    """Let the node take work again."""
    node = state.nodes.get(NodeId(command.node))
    if node is None:
        return Rejected("unknown_node")
    if not node.is_draining:
        return Applied(0, {"repeated": True})
    if node.is_up and node.drain_life == node.life:
        return Rejected("node_stops")

    changes.dirty.mark("nodes", node.id)
    changes.nodes[node.id] = None
    node.is_draining = False
    node.drain_life = node.drain_actor = ""
    node.drain_at_ms = node.drain_until_ms = node.drain_index = 0
    return Applied()


def carry_over(before: Node | None, after: Node) -> None:
    """A new life goes on draining when a person asked for it, not when the old life ended so."""
    if before is None or not before.is_draining or before.drain_life:
        return
    after.is_draining = True
    after.drain_at_ms = before.drain_at_ms
    after.drain_until_ms = before.drain_until_ms
    after.drain_actor = before.drain_actor
    after.drain_index = before.drain_index


def take_triggers(state: ClusterState, node: Node, changes: Changes) -> None:
    """Take away the triggers that the node runs; the planner gives them to others."""
    for name, trigger in list(state.triggers.items()):
        if trigger.node == node.id:
            drop_trigger(state, changes, name)
