"""Commands of connections: what became of calls, and permits for calls under a rate.

How a gate opens and closes is told by `gates.py`, the instants of a rate by `rates.py`. What stays
true: no command here touches an execution but to take its pass, and a permit once given is never
given again.
"""

from molecule.cluster import gates, rates
from molecule.cluster.bounds import duration
from molecule.cluster.changes import Changes
from molecule.cluster.connection import Connection
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire

PERMITS_MAX = 1_000
"""How many one command may ask for."""
LEAD_MS_MAX = 60_000


def record_calls(state: ClusterState, command: wire.RecordCalls, changes: Changes) -> Outcome:
    """Count failures towards opening the breaker, and calls of those let through towards closing.

    While it is open to all, one more failure than its window allows opens it; while few try, the
    failure of one of them does.
    """
    connection = state.connections.get((command.environment, command.connection))
    if connection is None or not connection.policy.has_breaker:
        return Rejected("no_breaker")
    if not 0 <= command.failures <= gates.FAILURES_TOLD_MAX:
        return Rejected("invalid", {"field": "failures"})

    gates.mark(changes, connection.key)
    is_closed = gates.is_closed(connection)
    went_well = [
        name
        for name in dict.fromkeys(command.succeeded)
        if gates.use_pass(state, connection, ExecutionId(name), changes)
    ]
    went_wrong = [name for name in command.failed if ExecutionId(name) in connection.passes]
    if is_closed:
        connection.successes += len(went_well)
        if went_wrong:
            gates.trip(state, connection, changes)
    elif command.failures and _is_too_much(state, connection, command.failures):
        gates.trip(state, connection, changes)
    gates.settle(state, connection, changes)
    return Applied(connection.trips)


def _is_too_much(state: ClusterState, connection: Connection, failures: int) -> bool:
    """Count failures into the window; True when they are as many as open the breaker."""
    since_ms = state.time_ms - connection.policy.within_ms
    recent = [(at_ms, count) for at_ms, count in connection.failures if at_ms > since_ms]
    if recent and recent[-1][0] == state.time_ms:
        failures += recent.pop()[1]
    connection.failures = (*recent, (state.time_ms, failures))
    return sum(count for _, count in connection.failures) >= connection.policy.failures


def take_permits(state: ClusterState, command: wire.TakePermits, changes: Changes) -> Outcome:
    """Permits for calls, in the order in which they were asked for.

    The facts say how to make the same instants again: `from_us`, `earliest_us`, `now_us`; the value
    is how many were given.
    """
    connection = state.connections.get((command.environment, command.connection))
    if connection is None or not connection.policy.has_rate:
        return Rejected("no_rate")
    if not 0 < command.count <= PERMITS_MAX:
        return Rejected("invalid", {"field": "count"})

    now_us = state.time_ms * 1_000
    lead_ms = min(duration(command.lead_ms), LEAD_MS_MAX)
    earliest_us = now_us + min(lead_ms * 1_000, rates.HORIZON_US)
    before_us = connection.next_permit_us
    instants, after_us = rates.grant(
        connection.policy,
        next_us=before_us,
        now_us=now_us,
        earliest_us=earliest_us,
        count=command.count,
    )
    facts = {"from_us": before_us, "earliest_us": earliest_us, "now_us": now_us}
    if not instants:
        return Applied(0, facts)
    gates.mark(changes, connection.key)
    connection.next_permit_us = after_us
    if not gates.is_closed(connection):
        # Half open, a pass lasts until it is known what became of the call.
        for name in command.executions[: len(instants)]:
            gates.use_pass(state, connection, ExecutionId(name), changes)
    return Applied(len(instants), facts)
