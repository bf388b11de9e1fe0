"""Why an execution that is pending or before a gate does not run now, read off the state.

Nobody decided that it waits: it is what the state at its index comes to. What stays true: each
cause that a decision brought about names the log index of that decision, and tells nothing that
changes while the decision stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, Final

from molecule.cluster import gates, queues, rates
from molecule.cluster.connection import Connection
from molecule.cluster.execution import Execution
from molecule.cluster.state import ClusterState, Lane, Node
from molecule.config import Timing
from molecule.model import instants, reasons
from molecule.model.ids import ExecutionId
from molecule.scheduler import fairness, place
from molecule.scheduler.liveness import Liveness

Decided = tuple[int, int]
"""The log index of a decision, and when it was made."""

_TOLD_MAX: Final = 10
_COUNTED_MAX: Final = 10_000
_TIMING: Final = Timing()
"""Never read for a verdict: without heartbeats no node counts as silent."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What keeps it from running. `index` 0: nobody decided it, the state as a whole says so."""

    text: str
    index: int = 0
    at_ms: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def causes(
    state: ClusterState, execution_id: str, *, blockers: Mapping[str, Decided]
) -> Iterator[Cause]:
    """Of a pending one: its key, a pause, the reason of each node, what goes before it."""
    execution = state.executions.get(ExecutionId(execution_id))
    if execution is None:
        return
    if not execution.ready_serial:
        yield from _key(state, execution, blockers)
    paused = _pause(state, execution)
    if paused is not None:
        yield paused
    if paused is not None or not execution.ready_serial:
        return
    choice = place.explain(state, execution, Liveness(), now_ms=0, timing=_TIMING)
    told = [{"node": one.node, "reason": one.reason} for one in choice]
    nodes = "; ".join(f"{one.node}: {reasons.told(one.reason)}" for one in choice)
    free = [name for name in state.nodes if name not in {one.node for one in choice}]
    before, ahead = _ahead(state, execution)
    if free:
        facts = {"reason": "others_first", **before, "not_chosen": told}
        text = f"{free[0]} could run it; it is its turn with the next round of the leader"
    else:
        facts = {"reason": "no_node", **before, "not_chosen": told}
        text = f"no node can take it now: {nodes or 'none has registered'}"
    yield Cause(text + ahead, facts=facts)
    for one in choice:
        node = state.nodes.get(one.node)
        if node is not None and one.reason == "draining":
            yield drain_of(node)


def drain_of(node: Node) -> Cause:
    """By which command a node is being emptied."""
    why = f" by {node.drain_actor}" if node.drain_actor else ""
    why += ", because its process is about to end" if node.drain_life else ""
    facts = {"reason": "draining", "node": node.id, "actor": node.drain_actor}
    text = f"{node.id} is being emptied{why}"
    return Cause(text, node.drain_index, node.drain_at_ms, facts)


def gate(state: ClusterState, execution_id: str) -> Iterator[Cause]:
    """Of one that waits before the gate of a connection: breaker, rate, and who goes first."""
    execution = state.executions.get(ExecutionId(execution_id))
    connection = gates.connection_of(state, execution) if execution is not None else None
    if execution is None or connection is None:
        return
    paused = _pause(state, execution)
    if paused is not None:
        yield paused
    name = connection.policy.connection
    if gates.is_closed(connection):
        open_ms = connection.open_until_ms - connection.opened_at_ms
        facts = {
            "reason": "breaker",
            "connection": name,
            "opened_at_ms": connection.opened_at_ms,
            "open_until_ms": connection.open_until_ms,
        }
        text = (
            f"too many calls of {name} failed, so its breaker opened for {open_ms} ms, until "
            f"{instants.shown(connection.open_until_ms)}; after them one at a time tries, and with "
            "each call that goes well one more"
        )
        yield Cause(text, connection.opened_index, connection.opened_at_ms, facts)
    yield _place_before(state, execution, connection)


def _place_before(state: ClusterState, execution: Execution, connection: Connection) -> Cause:
    """Where it stands, and what is free; it changes with every call."""
    place_now = connection.waiting.index((execution.accepted_serial, execution.id)) + 1
    phase = gates.phase(connection, time_ms=state.time_ms)
    policy = connection.policy
    facts: dict[str, Any] = {
        "reason": "gate",
        "connection": policy.connection,
        "phase": phase,
        "place": place_now,
        "waiting": len(connection.waiting),
        "let_through": len(connection.passes),
    }
    text = f"it is number {place_now} of {len(connection.waiting)} before {policy.connection}"
    if policy.has_breaker:
        text += f", whose breaker is {phase}"
    if policy.has_rate:
        booked_ms = max(0, connection.next_permit_us - state.time_ms * 1_000) // 1_000
        turn_us = rates.turn_us(
            policy,
            next_us=connection.next_permit_us,
            now_us=max(state.time_ms, connection.open_until_ms) * 1_000,
            before=place_now - 1 + len(connection.passes),
        )
        facts |= {
            "limit": policy.rate_limit,
            "per_ms": policy.rate_per_ms,
            "booked_ms": booked_ms,
            "expected_at_ms": turn_us // 1_000,
        }
        text += (
            f"; its rate allows {policy.rate_limit} per {policy.rate_per_ms} ms, and calls are "
            f"booked for the next {booked_ms} ms, so its turn is at about "
            f"{instants.shown(turn_us // 1_000)}"
        )
    return Cause(text, facts=facts)


def _pause(state: ClusterState, execution: Execution) -> Cause | None:
    deployment = state.deployments.get((execution.environment, execution.process))
    if deployment is None or deployment.pause is None:
        return None
    pause = deployment.pause
    by = f" by {pause.actor}" if pause.actor else ""
    because = f": {pause.reason}" if pause.reason else ""
    facts = {"reason": "paused", "actor": pause.actor, "at_ms": pause.at_ms}
    return Cause(f"the process is paused{by}{because}", pause.index, pause.at_ms, facts)


def _ahead(state: ClusterState, execution: Execution) -> tuple[dict[str, int], str]:
    """What goes before it: higher priorities, lost work, its own lane, others by their shares."""
    mine = queues.lane_of(execution)
    lanes = [
        lane for lane in state.lanes if not queues.is_paused(state, lane.environment, lane.process)
    ]
    first = sum(len(state.lanes[lane]) for lane in lanes if _rank(lane) < _rank(mine))
    lane = islice(state.lanes.get(mine, {}), _COUNTED_MAX)
    before = sum(1 for _ in takewhile(lambda other: other != execution.id, lane))
    slots = sum(node.slots for node in state.nodes.values() if node.is_schedulable)
    rivals = fairness.claims(
        state, (lane for lane in lanes if _rank(lane) == _rank(mine)), slots=slots
    )
    own = next(one for one in rivals if one.name == (mine.environment, mine.process))
    told = {"before": before, "higher": first, "held": own.held, "part": own.part}
    text = f"; {first} of a higher priority or lost before go first" if first else ""
    text += f"; {before} of its process became ready before it" if before else ""
    if len(rivals) > 1 and own.held >= own.part:
        text += f"; its process has {own.held} slots, and its share of them is {own.part}"
    return told, text


def _rank(lane: Lane) -> tuple[int, bool]:
    return -lane.priority, not lane.returned


def holders(state: ClusterState, execution_id: str) -> list[ExecutionId]:
    """Which executions hold the key that it wants; for a hold by dead letters, the ended one."""
    execution = state.executions.get(ExecutionId(execution_id))
    key = queues.key_of(execution) if execution is not None else None
    if execution is None or key is None or execution.ready_serial:
        return []
    hold = state.key_holds.get(key)
    if hold is not None:
        return [hold.execution]
    return [name for name in queues.heads(state, key) if name != execution.id][:_TOLD_MAX]


def _key(
    state: ClusterState, execution: Execution, blockers: Mapping[str, Decided]
) -> Iterator[Cause]:
    key = queues.key_of(execution)
    hold = state.key_holds.get(key) if key is not None else None
    for name in holders(state, execution.id):
        facts: dict[str, Any] = {"concurrency_key": execution.concurrency_key, "execution": name}
        index, at_ms = blockers.get(name, (0, 0))
        if hold is not None:
            facts |= {"reason": "key_held_for_dead_letters", "dead_letters": hold.dead_letters}
            text = (
                f"its key {execution.concurrency_key} is held for {hold.dead_letters} dead letters "
                f"of {name} until they are settled"
            )
        else:
            holder = state.executions[name].state.value
            facts |= {"reason": "key_held", "state": holder}
            text = f"its key {execution.concurrency_key} is held by {name}, which is {holder}"
        yield Cause(text, index, at_ms, facts)
