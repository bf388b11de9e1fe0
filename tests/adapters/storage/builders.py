"""Rows with defaults, so that a test names only what it is about."""

from molecule.storage.rows import (
    Batch,
    DeadLetterRow,
    HistoryRow,
    Mark,
    PayloadRow,
    SnapshotRow,
    TimelineRow,
)


def a_mark(index: int) -> Mark:
    return Mark(index, 1, index.to_bytes(32, "big"))


def a_row(key: str = "k", value: bytes | None = b"v", *, table: str = "executions") -> SnapshotRow:
    return SnapshotRow(table, key.encode(), value)


def an_event(execution: str = "e1", index: int = 1, position: int = 0) -> TimelineRow:
    return TimelineRow(execution, index, position, 1_000 + index, "assigned", b"{}")


def an_end(
    execution: str = "e1",
    *,
    ended_at_ms: int = 2_000,
    process: str = "orders",
    state: str = "COMPLETED",
    environment: str = "dev",
    track: tuple[tuple[str, str], ...] = (),
) -> HistoryRow:
    return HistoryRow(execution, process, environment, state, 1_000, ended_at_ms, 7, track, b"end")


def a_payload(
    execution: str = "e1", slot: str = "input", inline: bytes | None = b"bytes"
) -> PayloadRow:
    return PayloadRow(execution, slot, inline, None, len(inline or b""))


def a_letter(
    index: int = 1, *, process: str = "orders", execution: str = "e1", code: str = "http_503"
) -> DeadLetterRow:
    return DeadLetterRow(
        index, 0, 5_000, process, "dev", execution, "d", "s", "data", code, "no", b"x", None, 1
    )


def marked(index: int, **parts: object) -> Batch:
    return Batch(mark=a_mark(index), **parts)  # type: ignore[arg-type]  # parts are named by tests
