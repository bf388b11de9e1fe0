"""Which nodes may run what, judged from committed state alone: labels and the placement hint.

Choosing among nodes belongs to `scheduler.place`. What stays true: a hint is taken only when it
passes over nobody who waits with equal or higher priority and could run there.
"""

from molecule.cluster import overlap, queues
from molecule.cluster.state import ClusterState, KeyName, Node, Version
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire


def missing_label(version: Version, node: Node) -> str:
    """The first required label that the node lacks; empty when it has all."""
    for name, value in version.require.items():
        if node.labels.get(name) != value:
            return name
    return ""


def is_outside(version: Version, node: Node) -> bool:
    """True when the version may run in one zone only and the node is in another."""
    return version.zone not in ("", node.zone)


def fits(version: Version, node: Node) -> bool:
    """True when the node is in the zone and has every label that the version requires."""
    if is_outside(version, node):
        return False
    return not version.require or not missing_label(version, node)


def hinted_node(
    state: ClusterState, version: Version, command: wire.SubmitExecution
) -> tuple[Node | None, str]:
    """The node to start on at once, or None and why the hint is not valid."""
    hint = command.hint
    node = state.nodes.get(NodeId(hint.node))
    if node is None or node.incarnation != hint.incarnation:
        return None, "stale_incarnation"
    refusal = why_not_at_once(state, version, command, node)
    return (None, refusal) if refusal else (node, "valid")


def why_not_at_once(
    state: ClusterState, version: Version, command: wire.SubmitExecution, node: Node
) -> str:
    """Why this submission may not start on `node` before all that waits; empty when it may."""
    if not node.is_schedulable:
        return "not_schedulable"
    if node.slots_free <= 0:
        return "no_slot"
    if not fits(version, node):
        return "zone" if is_outside(version, node) else "labels"
    if queues.is_paused(state, command.environment, version.process):
        return "paused"
    key = overlap.key_text(version, command)
    if key:
        # Only a key that nobody holds or wants is known to be free.
        name = KeyName(command.environment, version.process, key)
        if name in state.key_queues or name in state.key_holds:
            return "key_held"
    priority = overlap.priority_of(version, command)
    for lane in state.lanes:
        if lane.priority < priority or queues.is_paused(state, lane.environment, lane.process):
            continue
        if fits(state.versions[lane.process, lane.version], node):
            return "others_wait"
    return ""
