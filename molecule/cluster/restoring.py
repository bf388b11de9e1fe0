"""A state from the rows of a snapshot, its indexes made anew.

The other direction is `rows.py`. What stays true: the order of queues and lanes after restoring is
the one before, because it is carried by serial numbers and tokens, never by the order of rows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from molecule.cluster import (
    bounds,
    dedup,
    execution_rows,
    gates,
    listening,
    loss_rows,
    queues,
    row_parts,
    table_rows,
)
from molecule.cluster.changes import Row
from molecule.cluster.connection import Connection
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    Admission,
    ClusterState,
    Deployment,
    DocumentUse,
    Environment,
    Group,
    JoinToken,
    KeyHold,
    KeyName,
    Node,
    Pause,
    Retained,
    TriggerAssignment,
    Version,
)
from molecule.model.errors import DamagedData
from molecule.model.execution import PARKED, ExecutionState
from molecule.model.ids import (
    Digest,
    Epoch,
    ExecutionId,
    GroupId,
    Incarnation,
    NodeId,
    ProcessName,
    Token,
    VersionId,
)
from molecule.model.retention import RetentionClass
from molecule.wire.v1 import state_pb2

_S: Final = ExecutionState


def state_from(rows: Iterable[Row], *, index: int) -> ClusterState:
    """The state that gave these rows, in any order; `DamagedData` for anything else."""
    state = ClusterState(index=index)
    for table, key, value in rows:
        if value is None:
            continue
        reader = _READERS.get(table)
        if reader is None:
            raise DamagedData(
                f"the snapshot has a table {table!r} that this software does not know"
            )
        try:
            reader(state, key, value)
        except Exception as error:  # any decoding fault means the same: these bytes are not ours
            raise DamagedData(f"row {key!r} of {table} in the snapshot is damaged") from error
    _rebuild(state)
    return state


def _header(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.HeaderRow.FromString(value)
    state.time_ms = row.time_ms
    state.rules_version = row.rules_version
    state.epoch = Epoch(row.epoch)
    state.leader = NodeId(row.leader)
    state.bounds = bounds.from_wire(row.bounds)
    state.claim_former = NodeId(row.claim_former)
    state.claim_at_ms = row.claim_at_ms
    state.claim_leaderless_ms = row.claim_leaderless_ms
    state.lease_hold_ms = row.lease_hold_ms
    state.former_leases = tuple((lease.hold_ms, lease.until_ms) for lease in row.former_leases)
    state.token_last = Token(row.token_last)
    state.incarnation_last = Incarnation(row.incarnation_last)
    state.serial_last = row.serial_last
    state.totals.update((counted.name, counted.count) for counted in row.totals)
    state.counts.update((_S(counted.name), counted.count) for counted in row.ended_counts)
    state.horizons.update((RetentionClass(kept.name), kept.count) for kept in row.horizons)


def _node(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.NodeRow.FromString(value)
    state.nodes[NodeId(key)] = Node(
        id=NodeId(row.id),
        life=row.life,
        incarnation=Incarnation(row.incarnation),
        labels=row_parts.labels(row.labels),
        zone=row.zone,
        slots=row.slots,
        rpc_address=row.rpc_address,
        http_address=row.http_address,
        software=row.software,
        voter=row.voter,
        registered_at_ms=row.registered_at_ms,
        is_up=row.is_up,
        is_draining=row.is_draining,
        lost_at_ms=row.lost_at_ms,
        lost_reason=row.lost_reason,
        past_lives=tuple(row.past_lives),
        drain_life=row.drain_life,
        drain_at_ms=row.drain_at_ms,
        drain_until_ms=row.drain_until_ms,
        drain_actor=row.drain_actor,
        drain_index=row.drain_index,
        signs=row.signs,
    )


def _join_token(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.JoinTokenRow.FromString(value)
    state.join_tokens[key] = JoinToken(
        digest=row.digest,
        role=row.role,
        expires_at_ms=row.expires_at_ms,
        actor=row.actor,
        used_by=NodeId(row.used_by),
        request=row.request,
    )


def _admission(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.AdmissionRow.FromString(value)
    state.admissions[NodeId(key)] = Admission(
        node=NodeId(row.node), role=row.role, gone=row.gone, at_ms=row.at_ms
    )


def _version(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.VersionRow.FromString(value)
    version = Version(
        process=ProcessName(row.process),
        id=VersionId(row.id),
        failover=row.failover,
        keyed=row.keyed,
        concurrency_limit=row.concurrency_limit,
        timeout_ms=row.timeout_ms,
        expires_ms=row.expires_ms,
        dedup_window_ms=row.dedup_window_ms,
        gates=tuple(row_parts.gate(policy) for policy in row.gates),
        crash_budget=row.crash_budget,
        priority=row.priority,
        require=row_parts.labels(row.require),
        prefer=row_parts.labels(row.prefer),
        has_trigger=row.has_trigger,
        on_dead_letter=row.on_dead_letter,
        tracked=row.tracked,
        hold_for_ms=row.hold_for_ms,
        isolation=row.isolation,
        overlap=row.overlap,
        on_park=row.on_park,
        share=row.share,
        zone=row.zone,
        spread=row.spread,
        package=row_parts.mark(row.package),
        put_at_ms=row.put_at_ms,
        actor=row.actor,
        listener=listening.listener(row.listener) if row.HasField("listener") else None,
        durability=row.durability or "durable",
    )
    state.versions[version.process, version.id] = version


def _environment(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.EnvironmentRow.FromString(value)
    state.environments[key] = Environment(
        name=row.name,
        digest=row.digest,
        settings=row_parts.mark(row.settings),
        put_at_ms=row.put_at_ms,
        actor=row.actor,
    )


def _deployment(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.DeploymentRow.FromString(value)
    state.deployments[row.environment, ProcessName(row.process)] = Deployment(
        environment=row.environment,
        process=ProcessName(row.process),
        version=VersionId(row.version),
        trigger_on=row.trigger_on,
        activated_at_ms=row.activated_at_ms,
        trigger_since_ms=row.trigger_since_ms,
        actor=row.actor,
        pause=_pause(row.pause) if row.HasField("pause") else None,
    )


def _pause(row: state_pb2.PauseRow) -> Pause:
    return Pause(at_ms=row.at_ms, actor=row.actor, reason=row.reason, index=row.index)


def _key_hold(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.KeyHoldRow.FromString(value)
    key = KeyName(row.environment, ProcessName(row.process), row.concurrency_key)
    state.key_holds[key] = KeyHold(ExecutionId(row.execution), row.dead_letters, row.held_at_ms)


def _trigger(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.TriggerRow.FromString(value)
    state.triggers[row.environment, ProcessName(row.process)] = TriggerAssignment(
        environment=row.environment,
        process=ProcessName(row.process),
        version=VersionId(row.version),
        node=NodeId(row.node),
        incarnation=Incarnation(row.incarnation),
        token=Token(row.token),
        assigned_at_ms=row.assigned_at_ms,
    )


def _group(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.GroupRow.FromString(value)
    state.groups[GroupId(key)] = Group(
        id=GroupId(key),
        environment=row.environment,
        process=ProcessName(row.process),
        name=row.name,
        through=row.through,
        closed=row.closed,
        rejected=row.rejected,
        accepted=row.accepted,
        open=row.open,
        completed=row.completed,
        failed=row.failed,
        cancelled=row.cancelled,
        dead_letters=row.dead_letters,
    )


def _document(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.DocumentUseRow.FromString(value)
    state.documents[Digest(key)] = DocumentUse(row.count, row.size_bytes)


def _retained(state: ClusterState, key: str, value: bytes) -> None:
    row = state_pb2.RetainedRow.FromString(value)
    name = RetentionClass(row.retention_class)
    state.retained[name][ExecutionId(key)] = Retained(
        ExecutionId(key),
        name,
        row.ended_at_ms,
        row.serial,
        tuple(Digest(digest) for digest in row.digests),
    )


def _connection(state: ClusterState, _key: str, value: bytes) -> None:
    row = state_pb2.ConnectionRow.FromString(value)
    connection = Connection(
        environment=row.environment,
        policy=row_parts.gate(row.policy),
        failures=tuple((told.at_ms, told.count) for told in row.failures),
        opened_at_ms=row.opened_at_ms,
        opened_index=row.opened_index,
        open_until_ms=row.open_until_ms,
        trips=row.trips,
        successes=row.successes,
        passes={ExecutionId(given.execution): given.at_ms for given in row.passes},
        next_permit_us=row.next_permit_us,
        waited_ms=row.waited_ms,
    )
    state.connections[connection.key] = connection


def _forgotten(state: ClusterState, key: str, value: bytes) -> None:
    environment, _, process = key.partition("/")
    row = state_pb2.KeysForgottenRow.FromString(value)
    state.keys_forgotten[environment, ProcessName(process)] = row.made_ms


_READERS: Final[Mapping[str, Callable[[ClusterState, str, bytes], None]]] = {
    "header": _header,
    "nodes": _node,
    "join_tokens": _join_token,
    "admissions": _admission,
    "versions": _version,
    "environments": _environment,
    "deployments": _deployment,
    "triggers": _trigger,
    "executions": execution_rows.restore,
    "ended": execution_rows.restore_ended,
    "groups": _group,
    "documents": _document,
    "losses": loss_rows.restore,
    "key_holds": _key_hold,
    "retained": _retained,
    "connections": _connection,
    "forgotten": _forgotten,
    "key_tables": table_rows.restore,
    "claims": table_rows.restore_claim,
}


def _rebuild(state: ClusterState) -> None:
    """Make the indexes from the tables."""
    loss_rows.put_in_order(state)
    executions = sorted(state.executions.values(), key=lambda one: one.accepted_serial)
    # The table stands in the order of acceptance, as rows do not: pages of searches rely on it.
    state.executions = {execution.id: execution for execution in executions}
    for execution in executions:
        _share_names(state, execution)
        state.keys[execution.idempotency_key] = execution.id
        state.counts[execution.state] += 1
        queues.share_of(state, execution).open += 1
        if execution.deadline_at_ms and execution.state not in PARKED:
            state.deadlines.add(execution.deadline_at_ms, execution.id)
        if (
            execution.expires_at_ms
            and execution.state is _S.PENDING
            and not execution.started_at_ms
        ):
            state.expiries.add(execution.expires_at_ms, execution.id)
        if execution.state is _S.WAITING and execution.wait_until_ms:
            state.waits.add(execution.wait_until_ms, execution.id)
        if execution.state is _S.WAITING and execution.progress is not None:
            gates.wait_before(state, execution, execution.progress.gate)
        if execution.progress is not None and execution.progress.held_for:
            state.holds.add(execution.progress.held_until_ms, execution.id)
        if execution.state in PARKED:
            state.parked[execution.id] = None
    wanting = [execution for execution in executions if queues.wants_key(state, execution)]
    for execution in sorted(wanting, key=lambda execution: execution.key_serial):
        queues.join_key(state, execution)
    ready = [execution for execution in executions if execution.ready_serial]
    for execution in sorted(ready, key=lambda execution: execution.ready_serial):
        queues.put_in_lane(state, execution)
    held = [execution for execution in executions if execution.state is _S.ASSIGNED]
    for execution in sorted(held, key=lambda execution: execution.token):
        state.nodes[execution.node].held[execution.id] = None
        queues.take_share(state, execution)
    for ended in sorted(state.ended.values(), key=lambda ended: ended.serial):
        state.keys[ended.idempotency_key] = ended.id
        del state.ended[ended.id]
        dedup.put(state, ended)
    for table in state.retained.values():
        for kept in sorted(table.values(), key=lambda kept: kept.serial):
            table.move_to_end(kept.id)


def _share_names(state: ClusterState, execution: Execution) -> None:
    """Let it use the strings of its version, as `submit_execution` does, to stay small."""
    version = queues.version_of(state, execution)
    execution.process = version.process
    execution.version = version.id
    execution.environment = state.environments[execution.environment].name
