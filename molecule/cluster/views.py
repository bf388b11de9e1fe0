"""Read models: the state as plain JSON-able mappings for REST, the CLI and history rows.

Surfaces show them and add what only shells know (who leads, how old is the answer).
What stays true: an execution looks the same while it lives and in history.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from molecule.cluster import listening, queues
from molecule.cluster.execution import (
    Ended,
    Execution,
    Intent,
)
from molecule.cluster.loss import Loss
from molecule.cluster.state import (
    ClusterState,
    Deployment,
    Group,
    Node,
)
from molecule.model.execution import ACTIVE, PARKED, ExecutionState


def execution(state: ClusterState, execution: Execution) -> dict[str, Any]:
    """All that the state knows of an execution."""
    progress = execution.progress
    view: dict[str, Any] = {
        "id": execution.id,
        "durability": "durable",
        "state": execution.state.value,
        "reason": execution.reason,
        "step": "",
        "error": "",
        "error_code": "",
        "environment": execution.environment,
        "process": execution.process,
        "version": execution.version,
        "idempotency_key": execution.idempotency_key,
        "concurrency_key": execution.concurrency_key,
        "track": dict(execution.track),
        "group": execution.group,
        "origin": execution.origin or execution.id,
        "actor": execution.actor,
        "priority": execution.priority,
        "node": execution.node,
        "token": execution.token,
        "attempts": execution.attempts,
        "accepted_at_ms": execution.accepted_at_ms,
        "started_at_ms": execution.started_at_ms,
        "changed_at_ms": execution.changed_at_ms,
        "deadline_at_ms": execution.deadline_at_ms,
        "expires_at_ms": execution.expires_at_ms,
        "input_size_bytes": execution.input.size_bytes,
        "sequence": execution.sequence,
        "position_size_bytes": progress.position.size_bytes if progress else 0,
        "steps": progress.steps if progress else 0,
        "dead_letters": progress.dead_letters if progress else 0,
        "documents_failed": progress.documents_failed if progress else 0,
        "crashes": progress.crashes if progress else 0,
        "runs_alone": execution.is_alone,
        "last_death": asdict(progress.last_death) if progress and progress.last_death else None,
        "held_for": execution.held_for,
        "held_until_ms": progress.held_until_ms if progress else 0,
        "doubts": doubts(state, execution),
    }
    if execution.state is ExecutionState.WAITING:
        view["wait_until_ms"] = execution.wait_until_ms
        view["awaited"] = [
            {
                "signal": one.name,
                "correlation": one.correlation,
                "callback": f"/api/v1/executions/{execution.id}/signals/{one.name}",
            }
            for one in (progress.awaited if progress else ())
        ]
    if execution.state is ExecutionState.PENDING:
        view["blocked_by_key"] = not execution.ready_serial
        if queues.is_paused(state, execution.environment, execution.process):
            view["reason"] = "paused"
    return view


def doubts(state: ClusterState, execution: Execution) -> list[dict[str, Any]]:
    """The effects in doubt: what was sent, to where, when, and when it may be called not done."""
    return [
        {
            **_intent(intent),
            "answer_not_before_ms": intent.deadline_at_ms + state.lease_hold_ms,
        }
        for intent in execution.intents.values()
        if intent.is_in_doubt
    ]


def _intent(intent: Intent) -> dict[str, Any]:
    return {
        "effect_key": intent.effect_key,
        "step": intent.step,
        "document": intent.document,
        "target": intent.target,
        "request_digest": intent.request_digest,
        "verifiable": intent.verifiable,
        "token": intent.token,
        "sent_after_ms": intent.recorded_at_ms,
        "deadline_at_ms": intent.deadline_at_ms,
        "resolution": intent.resolution,
    }


def ended(ended: Ended) -> dict[str, Any]:
    """What the state still knows of a terminal execution; history knows the rest."""
    return {
        "id": ended.id,
        "state": ended.state.value,
        "token": ended.token,
        "ended_at_ms": ended.ended_at_ms,
    }


def is_drained(state: ClusterState, node: Node) -> bool:
    """True when a node that drains has nothing left to hand back."""
    has_trigger = any(trigger.node == node.id for trigger in state.triggers.values())
    return node.is_draining and not node.held and not has_trigger


def node(state: ClusterState, node: Node) -> dict[str, Any]:
    """A member as it registered, and what it has."""
    return {
        "id": node.id,
        "incarnation": node.incarnation,
        "up": node.is_up,
        "draining": node.is_draining,
        "drained": is_drained(state, node),
        "drain_at_ms": node.drain_at_ms,
        "drain_until_ms": node.drain_until_ms,
        "drain_actor": node.drain_actor,
        "leader": node.id == state.leader,
        "voter": node.voter,
        "signs": node.signs,
        "labels": dict(node.labels),
        "zone": node.zone,
        "slots": node.slots,
        "held": len(node.held),
        "triggers": sum(trigger.node == node.id for trigger in state.triggers.values()),
        "rpc_address": node.rpc_address,
        "http_address": node.http_address,
        "software": node.software,
        "registered_at_ms": node.registered_at_ms,
        "lost_at_ms": node.lost_at_ms,
        "lost_reason": node.lost_reason,
    }


def nodes(state: ClusterState) -> list[dict[str, Any]]:
    """All nodes, by name."""
    return [node(state, state.nodes[name]) for name in sorted(state.nodes)]


def status(state: ClusterState) -> dict[str, Any]:
    """The cluster in numbers."""
    return {
        "index": state.index,
        "time_ms": state.time_ms,
        "epoch": state.epoch,
        "leader": state.leader,
        "rules_version": state.rules_version,
        "nodes": len(state.nodes),
        "nodes_up": sum(node.is_up for node in state.nodes.values()),
        "executions": {name.value: count for name, count in state.counts.items()},
        "conservation": conservation(state),
        "totals": dict(state.totals),
        "documents": len(state.documents),
        "groups": len(state.groups),
    }


def conservation(state: ClusterState) -> dict[str, int]:
    """Both sides of `accepted = completed + failed + cancelled + active + parked`.

    Totals come from transitions, active and parked are recounted from the table.
    """
    # One pass without a line of Python in it: it runs in the loop, and a backlog may be deep.
    states = Counter(map(attrgetter("state"), state.executions.values()))
    recounted = {
        "active": sum(states[name] for name in ACTIVE),
        "parked": sum(states[name] for name in PARKED),
    }
    return {
        "accepted": state.totals["accepted"],
        "completed": state.counts[ExecutionState.COMPLETED],
        "failed": state.counts[ExecutionState.FAILED],
        "cancelled": state.counts[ExecutionState.CANCELLED],
        **recounted,
    }


def conservation_gap(sides: Mapping[str, int]) -> int:
    """How many executions are unaccounted for; 0 in every good state."""
    return sides["accepted"] - sum(count for name, count in sides.items() if name != "accepted")


def deployments(state: ClusterState) -> list[dict[str, Any]]:
    """Which version is active where, and which node runs its trigger."""
    views = []
    for name in sorted(state.deployments):
        deployment = state.deployments[name]
        version = state.versions[deployment.process, deployment.version]
        trigger = state.triggers.get(name)
        views.append(
            {
                "environment": deployment.environment,
                "process": deployment.process,
                "version": deployment.version,
                "activated_at_ms": deployment.activated_at_ms,
                "actor": deployment.actor,
                "has_trigger": version.has_trigger or version.listener is not None,
                "trigger_on": deployment.trigger_on,
                "listener": listening.address(deployment.environment, version.listener),
                "trigger_node": trigger.node if trigger else "",
                "trigger_token": trigger.token if trigger else 0,
                "failover": version.failover,
                "timeout_ms": version.timeout_ms,
                "priority": version.priority,
                "share": version.share,
                "overlap": version.overlap,
                "durability": version.durability,
                **_pause(deployment),
            }
        )
    return views


def _pause(deployment: Deployment) -> dict[str, Any]:
    pause = deployment.pause
    return {
        "paused": pause is not None,
        "paused_at_ms": pause.at_ms if pause else 0,
        "paused_by": pause.actor if pause else "",
        "pause_reason": pause.reason if pause else "",
    }


def held_keys(state: ClusterState) -> list[dict[str, Any]]:
    """Concurrency keys that are held for dead letters, and how many wait behind each."""
    return [
        {
            "environment": key.environment,
            "process": key.process,
            "concurrency_key": key.key,
            "execution": hold.execution,
            "dead_letters": hold.dead_letters,
            "held_at_ms": hold.held_at_ms,
            "waiting": len(state.key_queues.get(key, ())),
        }
        for key, hold in sorted(state.key_holds.items())
    ]


def group(group: Group) -> dict[str, Any]:
    """How far a trigger event is."""
    return {
        "id": group.id,
        "environment": group.environment,
        "process": group.process,
        "name": group.name,
        "through": group.through,
        "closed": group.closed,
        "rejected": group.rejected,
        "accepted": group.accepted,
        "open": group.open,
        "completed": group.completed,
        "failed": group.failed,
        "cancelled": group.cancelled,
        "dead_letters": group.dead_letters,
        "done": group.is_done,
    }


def postmortem(loss: Loss) -> dict[str, Any]:
    """What the loss of one life of a node was known by and what it cost."""
    return {
        "id": loss.id,
        "node": loss.node,
        "incarnation": loss.incarnation,
        "reason": loss.reason,
        "evidence": loss.evidence,
        "silent_for_ms": loss.silent_for_ms,
        "index": loss.index,
        "at_ms": loss.at_ms,
        "registered_at_ms": loss.registered_at_ms,
        "epoch": loss.epoch,
        "led": loss.led,
        "without_leader_ms": loss.without_leader_ms,
        "moved": loss.moved,
        "effects_in_doubt": loss.doubts,
        "steps_repeated": loss.repeated,
        "late_words_refused": loss.late_words,
        "executions": [
            {"execution": name, "token": one.token, "became": one.became, "doubts": one.doubts}
            for name, one in loss.executions.items()
        ],
    }


def postmortems(state: ClusterState) -> list[dict[str, Any]]:
    """All that are remembered, the newest first."""
    return [postmortem(loss) for loss in reversed(state.losses.values())]
