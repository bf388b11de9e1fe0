"""From what an entry changed to the rows that a voter keeps. Pure translation, no decision."""

import orjson

from molecule.cluster import changes as cluster
from molecule.storage import rows as storage
from molecule.wire.v1 import commands_pb2 as c


def batch(changes: cluster.Changes) -> storage.Batch:
    """What one entry adds to timelines, history, payloads and dead letters."""
    return storage.Batch(
        timeline=tuple(_timeline(row) for row in changes.timeline),
        history=tuple(_history(row) for row in changes.history),
        payloads=tuple(_payload(row) for row in changes.payloads),
        dead_letters=tuple(_dead_letter(row) for row in changes.dead_letters),
    )


def snapshot(dirty: cluster.DirtyRows) -> storage.Batch:
    """The changed objects at a flush point: with it, everything up to its index is the snapshot."""
    return storage.Batch(
        mark=storage.Mark(dirty.index, dirty.term, dirty.rolling_hash),
        rows=tuple(
            storage.SnapshotRow(table, key.encode(), value) for table, key, value in dirty.rows
        ),
    )


def _timeline(row: cluster.TimelineRow) -> storage.TimelineRow:
    body = {"node": row.node, "token": row.token, "attempt": row.attempt, "facts": row.facts}
    return storage.TimelineRow(
        row.execution, row.index, row.number, row.at_ms, row.kind, orjson.dumps(body)
    )


def _history(row: cluster.HistoryRow) -> storage.HistoryRow:
    return storage.HistoryRow(
        execution=row.execution,
        process=row.process,
        environment=row.environment,
        state=row.state.value,
        submitted_at_ms=row.accepted_at_ms,
        ended_at_ms=row.ended_at_ms,
        log_index=row.index,
        track=tuple(sorted(row.view.get("track", {}).items())),
        body=orjson.dumps(row.view),
    )


def _payload(row: cluster.PayloadRow) -> storage.PayloadRow:
    inline, digest, size = _body(row.payload)
    return storage.PayloadRow(row.owner, row.slot, inline, digest, size)


def _dead_letter(row: cluster.DeadLetterRow) -> storage.DeadLetterRow:
    inline, digest, size = _body(row.payload or None)
    return storage.DeadLetterRow(
        log_index=row.index,
        position=row.number,
        at_ms=row.at_ms,
        process=row.process,
        environment=row.environment,
        execution=row.execution or row.group,
        document=row.document,
        step=row.step,
        error_class=row.error_class,
        error_code=row.error_code,
        error=row.error,
        inline=inline,
        digest=digest,
        size_bytes=size,
    )


def _body(encoded: bytes | None) -> tuple[bytes | None, str | None, int]:
    if encoded is None:
        return None, None, 0
    payload = c.Payload.FromString(encoded)
    if payload.WhichOneof("body") == "stored":
        return None, payload.stored.digest, payload.stored.size_bytes
    return payload.inline, None, len(payload.inline)
