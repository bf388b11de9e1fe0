"""The command that purges what ended long ago.

A horizon is committed; the references of documents behind it are taken back in slices, and each
voter deletes rows behind it in its own time. What stays true: horizons never go back and never pass
the cluster's time, so nothing that ends later can be behind one.
"""

from molecule.cluster import retention
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.retention import DOCUMENT_CLASSES, RetentionClass
from molecule.wire.v1 import commands_pb2 as wire


def purge_ended(state: ClusterState, command: wire.PurgeEnded, changes: Changes) -> Outcome:
    """Move horizons on; take back the references of at most `slice_max` executions behind them.

    `left` of the answer tells that more of them lie there: the same command goes on with the rest.
    """
    if command.epoch and command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    if not command.epoch and not actor_text(command.actor):
        return Rejected("invalid", {"field": "actor"})
    known = {str(name) for name in RetentionClass}
    if any(horizon.retention_class not in known for horizon in command.horizons):
        return Rejected("invalid", {"field": "retention_class"})
    if command.slice_max <= 0:
        return Rejected("invalid", {"field": "slice_max"})

    changes.dirty.mark("header", "")
    for asked in command.horizons:
        name = RetentionClass(asked.retention_class)
        before_ms = min(asked.before_ms, state.time_ms)
        state.horizons[name] = max(state.horizons[name], before_ms)
    changes.horizons_moved = True
    room = command.slice_max
    for name in DOCUMENT_CLASSES:
        room -= retention.release(state, changes, name, at_most=room)
    left = any(retention.is_behind(state, name) for name in DOCUMENT_CLASSES)
    return Applied(command.slice_max - room, {"left": left})
