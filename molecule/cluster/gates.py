"""Connections and who waits before them: how a gate opens, closes and lets executions through.

Which command may do what is checked by `apply_gates.py`; whom to let through next is the planner's.
What stays true: who waits stands in the order of acceptance, and while a gate is closed nobody
calls without a pass that the leader gave.
"""

import bisect
from typing import Final

from molecule.cluster import rates
from molecule.cluster.changes import Alarm, Changes
from molecule.cluster.connection import Connection
from molecule.cluster.execution import Execution
from molecule.cluster.state import ClusterState
from molecule.model.execution import ExecutionState
from molecule.model.gate import GatePolicy
from molecule.model.ids import ExecutionId

PASS_MS: Final = 10_000
"""So long a pass that nothing is heard of takes the place of another one."""
FAILURES_TOLD_MAX: Final = 1_000

_MOVING: Final = (ExecutionState.PENDING, ExecutionState.ASSIGNED)


def connection_of(state: ClusterState, execution: Execution) -> Connection | None:
    """The connection at whose gate it stands, or through which it was let."""
    name = execution.progress.gate if execution.progress is not None else ""
    return state.connections.get((execution.environment, name)) if name else None


def is_closed(connection: Connection) -> bool:
    """True while only those with a pass may call: its breaker is open, or tries to close."""
    return connection.open_until_ms > 0


def phase(connection: Connection, *, time_ms: int) -> str:
    """`closed` (all may call), `open` (nobody may) or `half_open` (few try)."""
    if not is_closed(connection):
        return "closed"
    return "open" if time_ms < connection.open_until_ms else "half_open"


def room(connection: Connection, *, time_ms: int) -> int:
    """How many more of those that wait may be let through now.

    Half open: one, and with each call that went well one more, so that they double from round to
    round. A rate lets through as many as may call within its horizon.
    """
    policy = connection.policy
    phase_now = phase(connection, time_ms=time_ms)
    if phase_now == "open":
        return 0
    out = sum(given_ms + PASS_MS > time_ms for given_ms in connection.passes.values())
    places = len(connection.waiting)
    if phase_now == "half_open":
        places = 1 + connection.successes - out
    if policy.has_rate:
        allowed = rates.room(policy, next_us=connection.next_permit_us, now_us=time_ms * 1_000)
        places = min(places, allowed - out)
    return max(places, 0)


def configure(
    state: ClusterState, environment: str, policies: tuple[GatePolicy, ...], changes: Changes
) -> None:
    """Let these policies hold from now on; what was counted stays."""
    for policy in policies:
        name = (environment, policy.connection)
        known = state.connections.get(name)
        if known is not None and known.policy == policy:
            continue
        mark(changes, name)
        if known is None:
            state.connections[name] = Connection(environment, policy)
            continue
        known.policy = policy
        if not policy.has_breaker:
            _close(state, known, changes)


def wait_before(state: ClusterState, execution: Execution, name: str) -> None:
    """Put a WAITING execution before the gate, in its place by acceptance."""
    connection = state.connections.get((execution.environment, name))
    if connection is None or execution.progress is None:
        return
    execution.progress.gate = name
    bisect.insort(connection.waiting, (execution.accepted_serial, execution.id))


def leave(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """It waits no longer, for whatever reason."""
    connection = connection_of(state, execution)
    if connection is None:
        return
    mark(changes, connection.key)
    place = bisect.bisect_left(connection.waiting, (execution.accepted_serial, execution.id))
    del connection.waiting[place]
    if execution.progress is not None and execution.id not in connection.passes:
        execution.progress.gate = ""
    connection.waited_ms += state.time_ms - execution.changed_at_ms
    settle(state, connection, changes)


def let_through(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Give it a pass, so that it may call while others may not. To be called before it moves."""
    connection = connection_of(state, execution)
    if connection is not None:
        mark(changes, connection.key)
        connection.passes[execution.id] = state.time_ms


def forget_pass(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """It came to another state than to run: its pass is gone, and nothing is known by it."""
    connection = connection_of(state, execution)
    if connection is None or execution.state in _MOVING:
        return
    if execution.progress is not None:
        execution.progress.gate = ""
    if connection.passes.pop(execution.id, None) is not None:
        mark(changes, connection.key)
        settle(state, connection, changes)


def use_pass(
    state: ClusterState, connection: Connection, execution_id: ExecutionId, changes: Changes
) -> bool:
    """Take the pass of an execution that called; False when it had none."""
    if connection.passes.pop(execution_id, None) is None:
        return False
    execution = state.executions[execution_id]
    if execution.progress is not None:
        changes.touch(execution)
        execution.progress.gate = ""
    return True


def trip(state: ClusterState, connection: Connection, changes: Changes) -> None:
    """Open the breaker: nobody calls before its time is over."""
    for execution_id in list(connection.passes):
        use_pass(state, connection, execution_id, changes)
    connection.failures = ()
    connection.successes = 0
    connection.trips += 1
    connection.opened_at_ms = state.time_ms
    connection.opened_index = state.index
    connection.open_until_ms = state.time_ms + connection.policy.open_ms
    facts = {"environment": connection.environment, "connection": connection.policy.connection}
    changes.alarms.append(Alarm("breaker_opened", {**facts, "trips": connection.trips}))


def settle(state: ClusterState, connection: Connection, changes: Changes) -> None:
    """Close a breaker that was tried with success when nobody waits before it any more."""
    is_over = phase(connection, time_ms=state.time_ms) == "half_open"
    if is_over and connection.successes and not connection.waiting and not connection.passes:
        _close(state, connection, changes)


def _close(state: ClusterState, connection: Connection, changes: Changes) -> None:
    connection.open_until_ms = 0
    connection.successes = 0
    connection.failures = ()
    for execution_id in list(connection.passes):
        use_pass(state, connection, execution_id, changes)


def mark(changes: Changes, name: tuple[str, str]) -> None:
    """Its row changes now."""
    changes.dirty.mark("connections", "/".join(name))
