"""Rows of executions: to bytes and back.

Which tables there are is told by `rows.py` and `restoring.py`; indexes are made anew there.
"""

import sys
from typing import Final

from molecule.cluster import row_parts
from molecule.cluster.execution import (
    Answer,
    Awaited,
    Death,
    Ended,
    Execution,
    Intent,
    Progress,
    Signal,
)
from molecule.cluster.state import ClusterState
from molecule.model.effect import Effect
from molecule.model.execution import ExecutionState
from molecule.model.ids import (
    EffectKey,
    ExecutionId,
    GroupId,
    IdempotencyKey,
    Incarnation,
    NodeId,
    ProcessName,
    SignalId,
    Token,
    VersionId,
)
from molecule.wire.v1 import commands_pb2, state_pb2

_S: Final = ExecutionState


def encode(state: ClusterState, key: str) -> bytes | None:
    """The row of an execution that is not terminal; None when there is none."""
    execution = state.executions.get(ExecutionId(key))
    if execution is None:
        return None
    return execution_row(execution).SerializeToString(deterministic=True)


def _intent_row(intent: Intent) -> state_pb2.IntentRow:
    return state_pb2.IntentRow(
        effect_key=intent.effect_key,
        step=intent.step,
        document=intent.document,
        effect=intent.effect.value,
        target=intent.target,
        request_digest=intent.request_digest,
        request_size_bytes=intent.request_size_bytes,
        verifiable=intent.verifiable,
        token=intent.token,
        recorded_at_ms=intent.recorded_at_ms,
        deadline_at_ms=intent.deadline_at_ms,
        resolution=intent.resolution,
    )


def _progress_row(progress: Progress) -> state_pb2.ProgressRow:
    return state_pb2.ProgressRow(
        sequence=progress.sequence,
        position=row_parts.mark_row(progress.position),
        intents=[_intent_row(intent) for intent in progress.intents.values()],
        steps=progress.steps,
        dead_letters=progress.dead_letters,
        documents_failed=progress.documents_failed,
        crashes=progress.crashes,
        wait_number=progress.wait_number,
        wait_until_ms=progress.wait_until_ms,
        held_for=progress.held_for,
        held_until_ms=progress.held_until_ms,
        key_serial=progress.key_serial,
        lost_with=progress.lost_with,
        gate=progress.gate,
        answered=progress.answered,
        is_marked=progress.is_marked,
        once_begun=progress.once_begun,
        last_death=_death_row(progress.last_death) if progress.last_death is not None else None,
        awaited=[
            commands_pb2.Awaited(name=one.name, correlation=one.correlation)
            for one in progress.awaited
        ],
        signals=[_signal_row(signal) for signal in progress.signals.values()],
        answers=[
            state_pb2.AnswerRow(
                effect_key=key, answer=one.answer, detail=one.detail, confirmed=one.confirmed
            )
            for key, one in progress.answers.items()
        ],
        claims=[
            state_pb2.HeldClaimRow(claim=name, window_ms=window_ms)
            for name, window_ms in progress.claims.items()
        ],
    )


def _death_row(death: Death) -> state_pb2.DeathRow:
    return state_pb2.DeathRow(
        node=death.node,
        worker=death.worker,
        step=death.step,
        evidence=death.evidence,
        cause=death.cause,
        memory_bytes=death.memory_bytes,
        at_ms=death.at_ms,
        alone=death.alone,
    )


def _signal_row(signal: Signal) -> state_pb2.SignalRow:
    return state_pb2.SignalRow(
        id=signal.id,
        name=signal.awaited.name,
        correlation=signal.awaited.correlation,
        body_digest=signal.body_digest,
        payload=row_parts.mark_row(signal.payload),
        arrived_at_ms=signal.arrived_at_ms,
        consumed=signal.consumed,
    )


def execution_row(execution: Execution) -> state_pb2.ExecutionRow:
    """The row of one execution."""
    return state_pb2.ExecutionRow(
        id=execution.id,
        environment=execution.environment,
        process=execution.process,
        version=execution.version,
        idempotency_key=execution.idempotency_key,
        body_digest=execution.body_digest,
        concurrency_key=execution.concurrency_key,
        group=execution.group,
        origin=execution.origin,
        actor=execution.actor,
        track=row_parts.pairs(execution.track),
        input=row_parts.mark_row(execution.input),
        priority=execution.priority,
        accepted_at_ms=execution.accepted_at_ms,
        deadline_at_ms=execution.deadline_at_ms,
        expires_at_ms=execution.expires_at_ms,
        accepted_serial=execution.accepted_serial,
        state=execution.state.value,
        ready_serial=execution.ready_serial,
        node=execution.node,
        incarnation=execution.incarnation,
        token=execution.token,
        token_ended=execution.token_ended,
        attempts=execution.attempts,
        changed_at_ms=execution.changed_at_ms,
        started_at_ms=execution.started_at_ms,
        timeline_rows=execution.timeline_rows,
        reason=execution.reason,
        progress=_progress_row(execution.progress) if execution.progress is not None else None,
    )


def encode_ended(state: ClusterState, key: str) -> bytes | None:
    """The row of what is kept of a terminal execution; None when it is forgotten."""
    ended = state.ended.get(ExecutionId(key))
    if ended is None:
        return None
    return state_pb2.EndedRow(
        id=ended.id,
        state=ended.state.value,
        environment=ended.environment,
        process=ended.process,
        window_ms=ended.window_ms,
        idempotency_key=ended.idempotency_key,
        body_digest=ended.body_digest,
        token=ended.token,
        token_ended=ended.token_ended,
        ended_at_ms=ended.ended_at_ms,
        serial=ended.serial,
        late_words=ended.late_words,
        signals=ended.signals,
    ).SerializeToString(deterministic=True)


def _intent(row: state_pb2.IntentRow) -> Intent:
    return Intent(
        effect_key=EffectKey(row.effect_key),
        step=row.step,
        document=row.document,
        effect=Effect(row.effect),
        target=row.target,
        request_digest=row.request_digest,
        request_size_bytes=row.request_size_bytes,
        verifiable=row.verifiable,
        token=Token(row.token),
        recorded_at_ms=row.recorded_at_ms,
        deadline_at_ms=row.deadline_at_ms,
        resolution=row.resolution,
    )


def _progress(row: state_pb2.ProgressRow) -> Progress:
    return Progress(
        sequence=row.sequence,
        position=row_parts.mark(row.position),
        intents={EffectKey(intent.effect_key): _intent(intent) for intent in row.intents},
        steps=row.steps,
        dead_letters=row.dead_letters,
        documents_failed=row.documents_failed,
        crashes=row.crashes,
        wait_number=row.wait_number,
        wait_until_ms=row.wait_until_ms,
        held_for=NodeId(row.held_for),
        held_until_ms=row.held_until_ms,
        key_serial=row.key_serial,
        lost_with=row.lost_with,
        gate=row.gate,
        answered=row.answered,
        is_marked=row.is_marked,
        once_begun=row.once_begun,
        last_death=_death(row.last_death) if row.HasField("last_death") else None,
        awaited=tuple(Awaited(one.name, one.correlation) for one in row.awaited),
        signals={SignalId(signal.id): _signal(signal) for signal in row.signals},
        answers={
            EffectKey(one.effect_key): Answer(one.answer, one.detail, one.confirmed)
            for one in row.answers
        },
        claims={one.claim: one.window_ms for one in row.claims},
    )


def _death(row: state_pb2.DeathRow) -> Death:
    return Death(
        node=NodeId(row.node),
        worker=row.worker,
        step=row.step,
        evidence=row.evidence,
        cause=row.cause,
        memory_bytes=row.memory_bytes,
        at_ms=row.at_ms,
        alone=row.alone,
    )


def _signal(row: state_pb2.SignalRow) -> Signal:
    return Signal(
        id=SignalId(row.id),
        awaited=Awaited(row.name, row.correlation),
        body_digest=row.body_digest,
        payload=row_parts.mark(row.payload),
        arrived_at_ms=row.arrived_at_ms,
        consumed=row.consumed,
    )


def restore(state: ClusterState, key: str, value: bytes) -> None:
    """Put an execution back from its row."""
    row = state_pb2.ExecutionRow.FromString(value)
    state.executions[ExecutionId(key)] = Execution(
        id=ExecutionId(key),
        environment=row.environment,
        process=ProcessName(row.process),
        version=VersionId(row.version),
        idempotency_key=IdempotencyKey(row.idempotency_key),
        body_digest=row.body_digest,
        concurrency_key=sys.intern(row.concurrency_key),
        group=GroupId(row.group),
        origin=row.origin,
        actor=sys.intern(row.actor),
        track=tuple((sys.intern(pair.name), pair.value) for pair in row.track),
        input=row_parts.mark(row.input),
        priority=row.priority,
        accepted_at_ms=row.accepted_at_ms,
        deadline_at_ms=row.deadline_at_ms,
        expires_at_ms=row.expires_at_ms,
        accepted_serial=row.accepted_serial,
        state=_S(row.state),
        ready_serial=row.ready_serial,
        node=NodeId(row.node),
        incarnation=Incarnation(row.incarnation),
        token=Token(row.token),
        token_ended=Token(row.token_ended),
        attempts=row.attempts,
        changed_at_ms=row.changed_at_ms,
        started_at_ms=row.started_at_ms,
        timeline_rows=row.timeline_rows,
        reason=row.reason,
        progress=_progress(row.progress) if row.HasField("progress") else None,
    )


def restore_ended(state: ClusterState, key: str, value: bytes) -> None:
    """Put back what is kept of a terminal execution."""
    row = state_pb2.EndedRow.FromString(value)
    state.ended[ExecutionId(key)] = Ended(
        id=ExecutionId(key),
        state=_S(row.state),
        environment=row.environment,
        process=ProcessName(row.process),
        window_ms=row.window_ms,
        idempotency_key=IdempotencyKey(row.idempotency_key),
        body_digest=row.body_digest,
        token=Token(row.token),
        token_ended=Token(row.token_ended),
        ended_at_ms=row.ended_at_ms,
        serial=row.serial,
        late_words=row.late_words,
        signals=tuple(row.signals),
    )
