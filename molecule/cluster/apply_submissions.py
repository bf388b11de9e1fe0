"""The command that accepts an execution, once per idempotency key.

Moving it belongs to `transitions.py`, whether a hint is valid to `placement.py`, what it means for
those before it to `overlap.py`. What stays true:
what was accepted is known by its key as long as that counts, and everything else was refused with
a reason.
"""

import sys

from molecule.cluster import (
    dedup,
    documents,
    overlap,
    placement,
    retention,
    tokens,
    transitions,
)
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.bounds import KEY_AHEAD_MS_MAX, duration, instant
from molecule.cluster.changes import Changes
from molecule.cluster.execution import NO_GROUP, Execution
from molecule.cluster.hashing import fingerprint
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState, Group, Version
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, GroupId, IdempotencyKey, ProcessName, VersionId
from molecule.model.keys import made_at_ms
from molecule.wire.v1 import commands_pb2 as wire


def submit_execution(
    state: ClusterState, command: wire.SubmitExecution, changes: Changes
) -> Outcome:
    """Accept an execution once per idempotency key; straight to its node when the hint is valid."""
    known = _first_answer(state, command)
    if known is not None:
        return known
    version = _version_for(state, command)
    if version is None:
        return Rejected("unknown_process")
    refusal = _refusal(state, command, version) or overlap.refusal(state, version, command)
    if refusal is not None:
        if refusal.reason == "overloaded":
            changes.turned_away.add(command.trigger_token)
        return refusal

    for older in overlap.replaced(state, version, command):
        changes.tell(state, older, "replaced", {"by": command.execution})
        transitions.end(state, older, ExecutionState.CANCELLED, changes, reason="replaced")
    node = None
    hint_refused = "no_hint"
    if command.HasField("hint"):
        node, hint_refused = placement.hinted_node(state, version, command)
    group = _join_group(state, command, changes)
    execution = _new_execution(state, command, version, changes, group=group)
    transitions.accept(state, execution, changes)
    changes.tell(state, execution, "accepted", {"actor": execution.actor, "hint": hint_refused})
    if node is not None:
        transitions.assign(state, execution, node, changes, facts={"reason": "hint"})
    facts = {"execution": execution.id, "state": execution.state.value}
    return Applied(execution.token, facts)


def _first_answer(state: ClusterState, command: wire.SubmitExecution) -> Outcome | None:
    """The answer to a key that is known already; None for a new one."""
    execution_id = state.keys.get(IdempotencyKey(command.idempotency_key))
    if execution_id is None:
        return None
    known = state.executions.get(execution_id) or state.ended[execution_id]
    if known.body_digest != fingerprint(command.body_digest):
        return Rejected("key_conflict", {"execution": known.id})
    return Applied(
        known.token, {"execution": known.id, "state": known.state.value, "repeated": True}
    )


def _version_for(state: ClusterState, command: wire.SubmitExecution) -> Version | None:
    process = ProcessName(command.process)
    deployment = state.deployments.get((command.environment, process))
    if command.version:
        return state.versions.get((process, VersionId(command.version)))
    if deployment is None:
        return None
    return state.versions.get((process, deployment.version))


def _refusal(
    state: ClusterState, command: wire.SubmitExecution, version: Version
) -> Rejected | None:
    """Why a new submission is not accepted; None when it is."""
    if not command.execution or not command.idempotency_key:
        return Rejected("invalid", {"field": "execution" if command.idempotency_key else "key"})
    execution_id = ExecutionId(command.execution)
    is_known = execution_id in state.executions or execution_id in state.ended
    if is_known or retention.retained(state, execution_id) is not None:
        return Rejected("already_exists", {"execution": command.execution})
    if command.environment not in state.environments:
        return Rejected("unknown_environment")
    name = (command.environment, ProcessName(command.process))
    made_ms = made_at_ms(command.idempotency_key)
    if made_ms is not None:
        if dedup.is_too_old(state, name, version, made_ms):
            return Rejected("too_old", {"made_at_ms": made_ms})
        # A key is remembered until its time has come, so a wrong clock must not set that far ahead.
        if made_ms > state.time_ms + KEY_AHEAD_MS_MAX:
            return Rejected("invalid", {"field": "key", "made_at_ms": made_ms})
    if command.trigger_token and not tokens.may_fire(state, name, command.trigger_token):
        trigger = state.triggers.get(name)
        return Rejected("stale_token", {"current": trigger.token if trigger else 0})
    if 0 < command.expires_at_ms <= state.time_ms:
        return Rejected("expired", {"expires_at_ms": command.expires_at_ms})
    # A key that is held for dead letters counts like work: somebody must settle it.
    open_ = len(state.executions) + len(state.key_holds)
    if open_ >= state.bounds.pending_executions_max:
        return Rejected("overloaded", {"limit": "pending_executions_max"})
    share = state.shares.get(name)
    if share is not None and share.open >= state.bounds.pending_per_process_max:
        return Rejected("overloaded", {"limit": "pending_per_process_max"})
    return None


def _new_execution(
    state: ClusterState,
    command: wire.SubmitExecution,
    version: Version,
    changes: Changes,
    *,
    group: GroupId,
) -> Execution:
    payload = documents.keep(state, changes, command.execution, slot="input", payload=command.input)
    state.serial_last += 1
    return Execution(
        id=ExecutionId(command.execution),
        # Strings that many have are shared, so that a queued execution stays under 1 KB.
        environment=state.environments[command.environment].name,
        process=version.process,
        version=version.id,
        idempotency_key=IdempotencyKey(command.idempotency_key),
        body_digest=fingerprint(command.body_digest),
        concurrency_key=sys.intern(overlap.key_text(version, command)),
        group=group,
        origin=command.origin,
        actor=sys.intern(actor_text(command.actor)),
        track=tuple((sys.intern(name), value) for name, value in sorted(command.track.items())),
        input=payload,
        priority=overlap.priority_of(version, command),
        accepted_at_ms=state.time_ms,
        deadline_at_ms=instant(state.time_ms + version.timeout_ms) if version.timeout_ms else 0,
        expires_at_ms=_expires_at_ms(state, command, version),
        accepted_serial=state.serial_last,
    )


def _expires_at_ms(state: ClusterState, command: wire.SubmitExecution, version: Version) -> int:
    """The earliest of what the submission and its process say; 0 when neither says anything."""
    spans = [span for span in (command.expires_in_ms, version.expires_ms) if span > 0]
    instants = [state.time_ms + duration(span) for span in spans]
    instants += [command.expires_at_ms] if command.expires_at_ms > 0 else []
    return instant(min(instants, default=0))


def _join_group(state: ClusterState, command: wire.SubmitExecution, changes: Changes) -> GroupId:
    if not command.group:
        return NO_GROUP
    changes.dirty.mark("groups", command.group)
    changes.groups[command.group] = None
    group = state.groups.get(GroupId(command.group))
    if group is None:
        group = Group(GroupId(command.group), command.environment, ProcessName(command.process))
        state.groups[group.id] = group
    group.accepted += 1
    group.open += 1
    return group.id
