"""Failover `hold`: an execution waits for the node it ran on, but not for ever.

When it may begin is told by `losing.lose`. What stays true: whoever waits for one certain node
is in `state.holds` until it is assigned, let go or ended, in whatever state it stands.
"""

from molecule.cluster.bounds import instant
from molecule.cluster.execution import NO_NODE, Execution, Progress
from molecule.cluster.state import ClusterState


def begin(state: ClusterState, progress: Progress, execution: Execution, *, for_ms: int) -> None:
    """Have it run on its last node only, for so long."""
    end(state, execution)
    progress.held_for = execution.node
    progress.held_until_ms = instant(state.time_ms + for_ms)
    state.holds.add(progress.held_until_ms, execution.id)


def end(state: ClusterState, execution: Execution) -> None:
    """It may run anywhere; nothing happens when it may already."""
    progress = execution.progress
    if progress is None or not progress.held_for:
        return
    state.holds.remove(progress.held_until_ms, execution.id)
    progress.held_for = NO_NODE
    progress.held_until_ms = 0
