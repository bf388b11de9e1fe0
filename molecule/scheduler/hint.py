"""Choose a node for a submission at the door, so that an idle cluster needs no plan for it.

Apply checks the hint against committed state and falls back to PENDING. What stays true: a wrong
hint costs a round of planning, never order or fairness.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from molecule.cluster import placement
from molecule.cluster.execution import (
    NO_NODE,
)
from molecule.cluster.state import (
    ClusterState,
    Node,
)
from molecule.model.ids import NodeId, ProcessName, VersionId
from molecule.scheduler import place
from molecule.wire.v1 import commands_pb2 as wire


def choose(
    state: ClusterState,
    command: wire.SubmitExecution,
    *,
    reserved: Mapping[NodeId, int],
    avoid: Collection[NodeId] = (),
    near: NodeId = NO_NODE,
) -> wire.PlacementHint | None:
    """The best node on which this submission may start at once; None when it must queue.

    Best is as for the planner: preferred, then spread, then least loaded.

    `reserved` counts hints given since the state was read, `avoid` names nodes that are silent. Of
    equally loaded ones `near` is taken: the node that has the input and holds the caller.
    """
    process = ProcessName(command.process)
    version_id = VersionId(command.version)
    if not version_id:
        deployment = state.deployments.get((command.environment, process))
        if deployment is None:
            return None
        version_id = deployment.version
    version = state.versions.get((process, version_id))
    if version is None:
        return None
    fit: list[tuple[int, int, float, bool, NodeId, Node]] = []
    held_of_process = place.crowd(state, process) if version.spread else Counter[NodeId]()
    in_zone = Counter[str]()
    for node_id, count in held_of_process.items():
        in_zone[state.nodes[node_id].zone] += count
    for node in state.nodes.values():
        held = len(node.held) + reserved.get(node.id, 0)
        if node.id in avoid or not node.is_schedulable or held >= node.slots:
            continue
        if placement.fits(version, node):
            crowd = in_zone[node.zone] if version.spread == "zone" else held_of_process[node.id]
            load = held / node.slots
            fit.append(
                (-place.preferred(version, node), crowd, load, node.id != near, node.id, node)
            )
    if not fit:
        return None
    *_, best = min(fit)
    if placement.why_not_at_once(state, version, command, best):
        return None
    return wire.PlacementHint(node=best.id, incarnation=best.incarnation)
