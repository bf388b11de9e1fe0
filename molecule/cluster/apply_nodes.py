"""Commands about leadership and the lives of nodes and workers.

Taking work from a holder that is gone belongs to `losing.lose`. What stays true: epochs and
incarnations only grow, and a life that ended never comes back.
"""

from dataclasses import asdict
from typing import Final

from molecule.cluster import (
    apply_draining,
    apply_membership,
    bounds,
    losing,
    losses,
    records,
    tokens,
    transitions,
)
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Death, Execution
from molecule.cluster.losses import Evidence
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import (
    ClusterState,
    Node,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import Epoch, ExecutionId, Incarnation, NodeId
from molecule.wire.v1 import commands_pb2 as wire

_PAST_LIVES_MAX: Final = 8
"""Enough to refuse a registration that was sent long ago and comes again."""
_FORMER_LEASES_MAX: Final = 8
"""Beyond it the shortest counts as the next longer one."""
_CLOCK_FACTOR: Final = 2


def claim_leadership(
    state: ClusterState, command: wire.ClaimLeadership, changes: Changes
) -> Outcome:
    """Make `node` the leader of a new epoch."""
    given = bounds.from_wire(command.bounds) if command.HasField("bounds") else state.bounds
    former = _former_leases(state)

    changes.dirty.mark("header", "")
    state.claim_former = state.leader
    state.claim_at_ms = state.time_ms
    state.claim_leaderless_ms = bounds.duration(command.leaderless_ms)
    state.epoch = Epoch(state.epoch + 1)
    state.leader = NodeId(command.node)
    state.bounds = given
    # Leaders before may have granted their own, longer leases a moment ago.
    state.former_leases = former
    granted_ms = given.lease_ms + given.lease_margin_ms
    state.lease_hold_ms = max([granted_ms, *(hold_ms for hold_ms, _ in former)])
    return Applied(state.epoch)


def _former_leases(state: ClusterState) -> tuple[tuple[int, int], ...]:
    """What earlier leaders may have granted and what may not be over, the one before included."""
    alive = {hold_ms: until for hold_ms, until in state.former_leases if until > state.time_ms}
    if state.epoch:
        hold_ms = state.bounds.lease_ms + state.bounds.lease_margin_ms
        # The cluster's clock may run faster than the clocks by which leases are counted.
        alive[hold_ms] = bounds.instant(state.time_ms + _CLOCK_FACTOR * hold_ms)
    kept = sorted(alive.items())
    while len(kept) > _FORMER_LEASES_MAX:
        (_, first_until), (second, second_until), *rest = kept
        kept = [(second, max(first_until, second_until)), *rest]
    return tuple(kept)


def register_node(state: ClusterState, command: wire.RegisterNode, changes: Changes) -> Outcome:
    """Mint the incarnation of a new life; what an earlier life held goes back."""
    if not command.node or not command.life:
        return Rejected("invalid", {"field": "node" if command.life else "life"})
    if apply_membership.is_gone(state, NodeId(command.node)):
        return Rejected("removed")
    known = state.nodes.get(NodeId(command.node))
    if known is not None:
        if known.life == command.life and known.is_up:
            return Applied(known.incarnation, {"repeated": True})
        if command.life in known.past_lives:
            return Rejected("ended_life", {"incarnation": known.incarnation})

    if known is not None and known.is_up:
        _lose_node(state, known, changes, Evidence("higher_incarnation", f"life {command.life}"))
    past = known.past_lives if known is not None else ()
    if known is not None and known.life != command.life:
        past = (*past, known.life)[-_PAST_LIVES_MAX:]
    state.incarnation_last = Incarnation(state.incarnation_last + 1)
    changes.dirty.mark("nodes", command.node)
    node = Node(
        id=NodeId(command.node),
        life=command.life,
        incarnation=state.incarnation_last,
        labels=dict(sorted(command.labels.items())),
        zone=command.zone,
        slots=max(command.slots, 0),
        rpc_address=command.rpc_address,
        http_address=command.http_address,
        software=command.software,
        voter=command.voter,
        registered_at_ms=state.time_ms,
        signs=command.signs,
        past_lives=past,
    )
    apply_draining.carry_over(known, node)
    state.nodes[node.id] = node
    changes.nodes[node.id] = None
    _release_held_for(state, node, changes)
    return Applied(node.incarnation)


def report_node_death(
    state: ClusterState, command: wire.ReportNodeDeath, changes: Changes
) -> Outcome:
    """A life ended and its workers are reaped: its work goes elsewhere at once."""
    node = state.nodes.get(NodeId(command.node))
    if node is None:
        return Rejected("unknown_node")
    if command.life in node.past_lives:
        return Applied(node.incarnation, {"repeated": True})
    if node.life != command.life:
        return Rejected("unknown_life", {"incarnation": node.incarnation})

    changes.dirty.mark("nodes", node.id)
    node.past_lives = (*node.past_lives, node.life)[-_PAST_LIVES_MAX:]
    if not node.is_up:
        return Applied(node.incarnation, {"moved": 0})
    evidence = Evidence("node_dead", records.text(state, command.evidence))
    moved = _lose_node(state, node, changes, evidence)
    return Applied(node.incarnation, {"moved": moved})


def expire_node(state: ClusterState, command: wire.ExpireNode, changes: Changes) -> Outcome:
    """Nothing was heard for lease and margin: its work goes elsewhere."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    node = state.nodes.get(NodeId(command.node))
    if node is None:
        return Rejected("unknown_node")
    if node.incarnation != command.incarnation or not node.is_up:
        return Rejected("stale_incarnation", {"current": node.incarnation, "up": node.is_up})
    evidence = Evidence("lease_expired", silent_for_ms=command.silent_for_ms)
    moved = _lose_node(state, node, changes, evidence)
    return Applied(node.incarnation, {"moved": moved})


def report_worker_death(
    state: ClusterState, command: wire.ReportWorkerDeath, changes: Changes
) -> Outcome:
    """A worker died: take back what it held and charge what was running a step in it."""
    node = state.nodes.get(NodeId(command.node))
    if node is None:
        return Rejected("unknown_node")
    held = [
        (execution, word)
        for word in command.held
        if (execution := _held(state, word.execution, node, token=word.token)) is not None
    ]

    moved = 0
    for execution, word in held:
        # The same execution may be named twice; the first time took it away.
        if execution.state is ExecutionState.ASSIGNED:
            death = _death(state, node, command, word)
            charged = bool(word.running_step)
            changes.tell(state, execution, "worker_died", {"charged": charged, **asdict(death)})
            charge = death if charged else None
            losing.lose(state, execution, changes, reason="worker_died", charge=charge)
            moved += 1
    return Applied(0, {"moved": moved})


def _death(
    state: ClusterState,
    node: Node,
    command: wire.ReportWorkerDeath,
    word: wire.ReportWorkerDeath.Held,
) -> Death:
    return Death(
        node=node.id,
        worker=command.worker,
        step=records.text(state, word.running_step),
        evidence=records.text(state, command.evidence),
        cause=records.text(state, command.cause),
        memory_bytes=max(command.memory_bytes, 0),
        at_ms=state.time_ms,
        alone=word.alone,
    )


def _held(state: ClusterState, execution_id: str, node: Node, *, token: int) -> Execution | None:
    execution = state.executions.get(ExecutionId(execution_id))
    if execution is None or not tokens.may_charge(execution, token):
        return None
    return execution if execution.node == node.id else None


def _lose_node(state: ClusterState, node: Node, changes: Changes, evidence: Evidence) -> int:
    """Mark it lost and take its executions and triggers away; returns how many executions moved."""
    changes.dirty.mark("nodes", node.id)
    changes.nodes[node.id] = None
    node.is_up = False
    node.lost_at_ms = state.time_ms
    node.lost_reason = evidence.reason
    loss = losses.begin(state, node, changes, evidence)
    held = [state.executions[execution_id] for execution_id in node.held]
    for execution in held:
        doubts = sum(intent.is_in_doubt for intent in execution.intents.values())
        losing.lose(state, execution, changes, reason=evidence.reason)
        losses.moved(loss, execution, doubts=doubts)
    apply_draining.take_triggers(state, node, changes)
    return len(held)


def _release_held_for(state: ClusterState, node: Node, changes: Changes) -> None:
    """Executions with failover `hold` go on when the node that had them is back."""
    waiting = [
        execution
        for execution_id in state.parked
        if (execution := state.executions[execution_id]).state is ExecutionState.HELD
        and execution.progress is not None
        and execution.progress.held_for == node.id
    ]
    for execution in sorted(waiting, key=lambda execution: execution.accepted_serial):
        transitions.give_back(state, execution, changes, reason="node_returned")
