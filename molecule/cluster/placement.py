"""Which nodes may run what, judged from committed state alone: labels and the placement hint.

Choosing among nodes belongs to `scheduler.place`. What stays true: a hint is taken only when it
passes over nobody who waits with equal or higher priority and could run there.
"""

from molecule.cluster.state import ClusterState, KeyName, Node, Version
from molecule.model.ids import NodeId
from molecule.wire.v1 import commands_pb2 as wire


def missing_label(version: Version, node: Node) -> str:
    """The first required label that the node lacks; empty when it has all."""
    for name, value in version.require.items():
        if node.labels.get(name) != value:
            return name
    return ""


def fits(version: Version, node: Node) -> bool:
    """True when the node has every label that the version requires."""
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
        return "labels"
    if command.concurrency_key:
        # Only a key that nobody holds or wants is known to be free.
        name = KeyName(command.environment, version.process, command.concurrency_key)
        if name in state.key_queues:
            return "key_held"
    priority = command.priority or version.priority
    for lane in state.lanes:
        waiting = state.versions[lane.process, lane.version]
        if lane.priority >= priority and fits(waiting, node):
            return "others_wait"
    return ""
