"""Whom to let through the gates of connections in this round.

How many may go is told by `cluster.gates.room`, and apply checks it again. What stays true: those
who wait go on in the order of acceptance; only who could not start anyway lets others go first.
"""

from collections.abc import Iterator

from molecule.cluster import gates, queues, transitions
from molecule.cluster.connection import Connection
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.wire.v1 import commands_pb2 as wire


def releases(
    state: ClusterState, *, time_ms: int, limits: Limits
) -> Iterator[wire.ReleaseExecution]:
    """The waits that may end now, a bounded number for each gate."""
    for connection in state.connections.values():
        if connection.waiting:
            yield from _of_connection(state, connection, time_ms=time_ms, limits=limits)


def _of_connection(
    state: ClusterState, connection: Connection, *, time_ms: int, limits: Limits
) -> Iterator[wire.ReleaseExecution]:
    places = gates.room(connection, time_ms=time_ms)
    seen_max = limits.gate_waiting_seen_per_round_max
    for _, execution_id in connection.waiting[:seen_max]:
        if places <= 0:
            return
        execution = state.executions[execution_id]
        if queues.is_paused(state, execution.environment, execution.process):
            continue
        if transitions.doubt_ends_ms(state, execution) > time_ms:
            continue
        places -= 1
        progress = execution.progress
        yield wire.ReleaseExecution(
            epoch=state.epoch,
            execution=execution_id,
            wait_number=progress.wait_number if progress is not None else 0,
        )
