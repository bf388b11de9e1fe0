"""What the disks of the voters leave room for: one level for the whole cluster.

Every voter keeps everything, so all fill alike and a majority protects nobody: the fullest one
counts. What stays true: a live voter of which nothing sensible is known is taken for nearly full.
"""

from collections.abc import Mapping
from typing import NamedTuple

from molecule.cluster.state import ClusterState
from molecule.config import Headroom
from molecule.model.disk import DiskReport, Level
from molecule.model.ids import NodeId


class Admission(NamedTuple):
    """The level that counts, and which node has it."""

    level: Level
    node: NodeId


def level(disk: DiskReport, settings: Headroom) -> Level:
    """What one disk leaves room for."""
    if not disk.is_sensible:
        return Level.NO_DOCUMENTS
    used = disk.used_percent
    # On a small volume the reserve is more than the last few percent of it.
    if used >= settings.submissions_refused_percent or disk.available_bytes < disk.reserve_bytes:
        return Level.NO_SUBMISSIONS
    if used >= settings.documents_refused_percent:
        return Level.NO_DOCUMENTS
    if used >= settings.purge_early_percent:
        return Level.PURGE_EARLY
    return Level.ROOMY


def admission(
    state: ClusterState, disks: Mapping[NodeId, DiskReport], settings: Headroom
) -> Admission:
    """The fullest voter that is up. One that is down does not fill; when it returns it counts.

    A voter that was not heard yet in this leadership says nothing: the first heartbeat brings its
    report, and until then every node keeps to what the leader before has told it.
    """
    worst = Admission(Level.ROOMY, NodeId(""))
    for node in state.nodes.values():
        disk = disks.get(node.id)
        if not node.voter or not node.is_up or disk is None:
            continue
        found = level(disk, settings)
        if found > worst.level:
            worst = Admission(found, node.id)
    return worst


LIMITS: Mapping[Level, str] = {
    Level.NO_DOCUMENTS: "documents_refused_percent",
    Level.NO_SUBMISSIONS: "submissions_refused_percent",
}
"""The name of the limit that refuses at a level."""
