"""Rows of the snapshot: every table of the state as (table, key, bytes).

The storage writes them as they are; `restoring.py` is the way back. What stays true: equal states
give equal rows.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from molecule.cluster import execution_rows, listening, loss_rows, retention, row_parts, table_rows
from molecule.cluster.bounds import NAMES
from molecule.cluster.changes import Row
from molecule.cluster.state import (
    ClusterState,
    KeyName,
    Pause,
)
from molecule.model.execution import TERMINAL
from molecule.model.ids import Digest, ExecutionId, GroupId, NodeId, ProcessName, VersionId
from molecule.wire.v1 import commands_pb2, state_pb2

_ENDED_STATES: Final = sorted(TERMINAL)


def encode(state: ClusterState, table: str, key: str) -> bytes | None:
    """The row as it is now; None when it is gone."""
    return _ENCODERS[table](state, key)


def every(state: ClusterState) -> Iterator[Row]:
    """All rows of the state."""
    yield "header", "", _header(state)
    for table, keys in (
        ("nodes", list(state.nodes)),
        ("join_tokens", list(state.join_tokens)),
        ("admissions", list(state.admissions)),
        ("versions", ["/".join(name) for name in state.versions]),
        ("environments", list(state.environments)),
        ("deployments", ["/".join(name) for name in state.deployments]),
        ("triggers", ["/".join(name) for name in state.triggers]),
        ("executions", list(state.executions)),
        ("ended", list(state.ended)),
        ("groups", list(state.groups)),
        ("documents", list(state.documents)),
        ("losses", list(state.losses)),
        ("key_holds", [row_parts.joined(key) for key in state.key_holds]),
        ("retained", [id_ for kept in state.retained.values() for id_ in kept]),
        ("connections", ["/".join(name) for name in state.connections]),
        ("forgotten", ["/".join(name) for name in state.keys_forgotten]),
        ("key_tables", table_rows.keys(state)),
        ("claims", list(state.claims)),
    ):
        for key in keys:
            yield table, key, _ENCODERS[table](state, key)


def _header(state: ClusterState, _key: str = "") -> bytes:
    return state_pb2.HeaderRow(
        time_ms=state.time_ms,
        rules_version=state.rules_version,
        epoch=state.epoch,
        leader=state.leader,
        bounds=commands_pb2.Bounds(**{name: getattr(state.bounds, name) for name in NAMES}),
        claim_former=state.claim_former,
        claim_at_ms=state.claim_at_ms,
        claim_leaderless_ms=state.claim_leaderless_ms,
        lease_hold_ms=state.lease_hold_ms,
        token_last=state.token_last,
        incarnation_last=state.incarnation_last,
        serial_last=state.serial_last,
        totals=[
            state_pb2.Counted(name=name, count=count)
            for name, count in sorted(state.totals.items())
        ],
        former_leases=[
            state_pb2.FormerLeaseRow(hold_ms=hold_ms, until_ms=until_ms)
            for hold_ms, until_ms in state.former_leases
        ],
        ended_counts=[
            state_pb2.Counted(name=name, count=state.counts[name]) for name in _ENDED_STATES
        ],
        horizons=[
            state_pb2.Counted(name=name, count=state.horizons[name])
            for name in sorted(state.horizons)
        ],
    ).SerializeToString(deterministic=True)


def _node(state: ClusterState, key: str) -> bytes | None:
    node = state.nodes.get(NodeId(key))
    if node is None:
        return None
    return state_pb2.NodeRow(
        id=node.id,
        life=node.life,
        incarnation=node.incarnation,
        labels=row_parts.pairs(node.labels),
        zone=node.zone,
        slots=node.slots,
        rpc_address=node.rpc_address,
        http_address=node.http_address,
        software=node.software,
        voter=node.voter,
        registered_at_ms=node.registered_at_ms,
        is_up=node.is_up,
        is_draining=node.is_draining,
        lost_at_ms=node.lost_at_ms,
        lost_reason=node.lost_reason,
        past_lives=node.past_lives,
        drain_life=node.drain_life,
        drain_at_ms=node.drain_at_ms,
        drain_until_ms=node.drain_until_ms,
        drain_actor=node.drain_actor,
        drain_index=node.drain_index,
        signs=node.signs,
    ).SerializeToString(deterministic=True)


def _join_token(state: ClusterState, key: str) -> bytes | None:
    token = state.join_tokens.get(key)
    if token is None:
        return None
    return state_pb2.JoinTokenRow(
        digest=token.digest,
        role=token.role,
        expires_at_ms=token.expires_at_ms,
        used_by=token.used_by,
        request=token.request,
        actor=token.actor,
    ).SerializeToString(deterministic=True)


def _admission(state: ClusterState, key: str) -> bytes | None:
    known = state.admissions.get(NodeId(key))
    if known is None:
        return None
    return state_pb2.AdmissionRow(
        node=known.node, role=known.role, gone=known.gone, at_ms=known.at_ms
    ).SerializeToString(deterministic=True)


def _version(state: ClusterState, key: str) -> bytes | None:
    process, _, version_id = key.partition("/")
    version = state.versions.get((ProcessName(process), VersionId(version_id)))
    if version is None:
        return None
    return state_pb2.VersionRow(
        process=version.process,
        id=version.id,
        failover=version.failover,
        keyed=version.keyed,
        concurrency_limit=version.concurrency_limit,
        timeout_ms=version.timeout_ms,
        expires_ms=version.expires_ms,
        dedup_window_ms=version.dedup_window_ms,
        gates=[row_parts.gate_row(policy) for policy in version.gates],
        crash_budget=version.crash_budget,
        priority=version.priority,
        require=row_parts.pairs(version.require),
        prefer=row_parts.pairs(version.prefer),
        has_trigger=version.has_trigger,
        on_dead_letter=version.on_dead_letter,
        tracked=version.tracked,
        hold_for_ms=version.hold_for_ms,
        isolation=version.isolation,
        overlap=version.overlap,
        on_park=version.on_park,
        share=version.share,
        zone=version.zone,
        spread=version.spread,
        package=row_parts.mark_row(version.package),
        put_at_ms=version.put_at_ms,
        actor=version.actor,
        listener=listening.listener_row(version.listener),
        durability=version.durability,
    ).SerializeToString(deterministic=True)


def _environment(state: ClusterState, key: str) -> bytes | None:
    environment = state.environments.get(key)
    if environment is None:
        return None
    return state_pb2.EnvironmentRow(
        name=environment.name,
        digest=environment.digest,
        settings=row_parts.mark_row(environment.settings),
        put_at_ms=environment.put_at_ms,
        actor=environment.actor,
    ).SerializeToString(deterministic=True)


def _deployment(state: ClusterState, key: str) -> bytes | None:
    environment, _, process = key.partition("/")
    deployment = state.deployments.get((environment, ProcessName(process)))
    if deployment is None:
        return None
    return state_pb2.DeploymentRow(
        environment=deployment.environment,
        process=deployment.process,
        version=deployment.version,
        trigger_on=deployment.trigger_on,
        activated_at_ms=deployment.activated_at_ms,
        trigger_since_ms=deployment.trigger_since_ms,
        actor=deployment.actor,
        pause=_pause(deployment.pause),
    ).SerializeToString(deterministic=True)


def _pause(pause: Pause | None) -> state_pb2.PauseRow | None:
    if pause is None:
        return None
    return state_pb2.PauseRow(
        at_ms=pause.at_ms, actor=pause.actor, reason=pause.reason, index=pause.index
    )


def _key_hold(state: ClusterState, key: str) -> bytes | None:
    environment, process, text = row_parts.separated(key)
    hold = state.key_holds.get(KeyName(environment, ProcessName(process), text))
    if hold is None:
        return None
    return state_pb2.KeyHoldRow(
        environment=environment,
        process=process,
        concurrency_key=text,
        execution=hold.execution,
        dead_letters=hold.dead_letters,
        held_at_ms=hold.held_at_ms,
    ).SerializeToString(deterministic=True)


def _trigger(state: ClusterState, key: str) -> bytes | None:
    environment, _, process = key.partition("/")
    trigger = state.triggers.get((environment, ProcessName(process)))
    if trigger is None:
        return None
    return state_pb2.TriggerRow(
        environment=trigger.environment,
        process=trigger.process,
        version=trigger.version,
        node=trigger.node,
        incarnation=trigger.incarnation,
        token=trigger.token,
        assigned_at_ms=trigger.assigned_at_ms,
    ).SerializeToString(deterministic=True)


def _group(state: ClusterState, key: str) -> bytes | None:
    group = state.groups.get(GroupId(key))
    if group is None:
        return None
    return state_pb2.GroupRow(
        id=group.id,
        environment=group.environment,
        process=group.process,
        name=group.name,
        through=group.through,
        closed=group.closed,
        rejected=group.rejected,
        accepted=group.accepted,
        open=group.open,
        completed=group.completed,
        failed=group.failed,
        cancelled=group.cancelled,
        dead_letters=group.dead_letters,
    ).SerializeToString(deterministic=True)


def _document(state: ClusterState, key: str) -> bytes | None:
    use = state.documents.get(Digest(key))
    if use is None:
        return None
    return state_pb2.DocumentUseRow(count=use.count, size_bytes=use.size_bytes).SerializeToString(
        deterministic=True
    )


def _retained(state: ClusterState, key: str) -> bytes | None:
    kept = retention.retained(state, ExecutionId(key))
    if kept is None:
        return None
    return state_pb2.RetainedRow(
        id=kept.id,
        retention_class=kept.retention_class,
        ended_at_ms=kept.ended_at_ms,
        serial=kept.serial,
        digests=kept.digests,
    ).SerializeToString(deterministic=True)


def _connection(state: ClusterState, key: str) -> bytes | None:
    environment, _, name = key.partition("/")
    connection = state.connections.get((environment, name))
    if connection is None:
        return None
    return state_pb2.ConnectionRow(
        environment=environment,
        policy=row_parts.gate_row(connection.policy),
        failures=[
            state_pb2.FailuresRow(at_ms=at_ms, count=count) for at_ms, count in connection.failures
        ],
        opened_at_ms=connection.opened_at_ms,
        opened_index=connection.opened_index,
        open_until_ms=connection.open_until_ms,
        trips=connection.trips,
        successes=connection.successes,
        passes=[
            state_pb2.PassRow(execution=execution, at_ms=at_ms)
            for execution, at_ms in connection.passes.items()
        ],
        next_permit_us=connection.next_permit_us,
        waited_ms=connection.waited_ms,
    ).SerializeToString(deterministic=True)


def _forgotten(state: ClusterState, key: str) -> bytes | None:
    environment, _, process = key.partition("/")
    made_ms = state.keys_forgotten.get((environment, ProcessName(process)))
    if made_ms is None:
        return None
    return state_pb2.KeysForgottenRow(made_ms=made_ms).SerializeToString(deterministic=True)


_ENCODERS: Final[Mapping[str, Callable[[ClusterState, str], bytes | None]]] = {
    "header": _header,
    "nodes": _node,
    "join_tokens": _join_token,
    "admissions": _admission,
    "versions": _version,
    "environments": _environment,
    "deployments": _deployment,
    "triggers": _trigger,
    "executions": execution_rows.encode,
    "ended": execution_rows.encode_ended,
    "groups": _group,
    "documents": _document,
    "losses": loss_rows.encode,
    "key_holds": _key_hold,
    "retained": _retained,
    "connections": _connection,
    "forgotten": _forgotten,
    "key_tables": table_rows.encode,
    "claims": table_rows.encode_claim,
}

TABLES: Final = tuple(_ENCODERS)
