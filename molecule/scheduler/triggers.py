"""Which node should run the trigger of each deployment.

Running it belongs to the node's worker. What stays true: a deployment that is switched on has its
trigger on exactly one node that can run it, as soon as there is one.
"""

from collections import Counter

from molecule.cluster import placement
from molecule.cluster.state import ClusterState, Node, Version
from molecule.config import Timing
from molecule.model.ids import NodeId
from molecule.scheduler.liveness import Liveness, is_quiet
from molecule.wire.v1 import commands_pb2 as wire


def plan_triggers(
    state: ClusterState, liveness: Liveness, *, now_ms: int, timing: Timing
) -> list[wire.AssignTrigger]:
    """Give every trigger without a node to the fitting node with the fewest triggers, then load."""
    usable = [
        node
        for name, node in sorted(state.nodes.items())
        if node.is_schedulable and not is_quiet(liveness, name, now_ms=now_ms, timing=timing)
    ]
    running = Counter(trigger.node for trigger in state.triggers.values())
    planned = []
    for name in sorted(state.deployments):
        deployment = state.deployments[name]
        version = state.versions[deployment.process, deployment.version]
        if name in state.triggers or not deployment.trigger_on or not version.has_trigger:
            continue
        node = choose(version, usable, running)
        if node is None:
            continue
        running[node.id] += 1
        planned.append(
            wire.AssignTrigger(
                epoch=state.epoch,
                environment=deployment.environment,
                process=deployment.process,
                node=node.id,
                incarnation=node.incarnation,
                reason="fewest_triggers",
            )
        )
    return planned


def choose(version: Version, usable: list[Node], running: Counter[NodeId]) -> Node | None:
    """The node for one trigger, `running` counting those that each has; None when none fits."""
    fit = [node for node in usable if placement.fits(version, node)]
    return min(fit, key=lambda node: (running[node.id], len(node.held), node.id), default=None)
