"""The rows that enter and leave the state store: plain tuples with names.

The replicated state is turned into these by the node; the store never looks into a `body`. Every
row has a key that the log determines, so that writing the same row twice leaves one.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log: all up to `index` is in the snapshot; `hash` is the rolling hash then."""

    index: int
    term: int
    hash: bytes


EMPTY_MARK: Final = Mark(0, 0, b"")


class SnapshotRow(NamedTuple):
    """One object of the replicated state; `value` None removes it."""

    table: str
    key: bytes
    value: bytes | None


class TimelineRow(NamedTuple):
    """One event of an execution, ordered by log entry and by the place in what that entry did."""

    execution: str
    log_index: int
    position: int
    at_ms: int
    event: str
    body: bytes


class HistoryRow(NamedTuple):
    """A terminal execution as people search for it; `track` holds its business keys."""

    execution: str
    process: str
    environment: str
    state: str
    submitted_at_ms: int
    ended_at_ms: int
    log_index: int
    track: tuple[tuple[str, str], ...]
    body: bytes


class PayloadRow(NamedTuple):
    """Bytes of an execution: inline, or the digest of a document. Both None removes them."""

    execution: str
    slot: str
    inline: bytes | None
    digest: str | None
    size_bytes: int


class DeadLetterRow(NamedTuple):
    """A document that failed, kept for repair; (`log_index`, `position`) is its key."""

    log_index: int
    position: int
    at_ms: int
    process: str
    environment: str
    execution: str
    document: str
    step: str
    error_class: str
    error_code: str
    error: str
    inline: bytes | None
    digest: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What some entries of the log changed.

    With a `mark`, it closes everything staged since the mark before: `rows` must then be the
    changed objects as they are at that index. Without one, it joins the next batch that has one.
    """

    mark: Mark | None = None
    rows: tuple[SnapshotRow, ...] = ()
    timeline: tuple[TimelineRow, ...] = ()
    history: tuple[HistoryRow, ...] = ()
    payloads: tuple[PayloadRow, ...] = ()
    dead_letters: tuple[DeadLetterRow, ...] = ()

    @property
    def row_count(self) -> int:
        """Rows of all kinds."""
        return (
            len(self.rows)
            + len(self.timeline)
            + len(self.history)
            + len(self.payloads)
            + len(self.dead_letters)
        )

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory: bodies and values only."""
        return (
            sum(len(row.value or b"") for row in self.rows)
            + sum(len(event.body) for event in self.timeline)
            + sum(len(row.body) for row in self.history)
            + sum(len(row.inline or b"") for row in self.payloads)
            + sum(len(row.inline or b"") for row in self.dead_letters)
        )


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which ended executions; None matches all, `ended_to_ms` itself is not included."""

    process: str | None = None
    state: str | None = None
    environment: str | None = None
    track: tuple[str, str] | None = None
    ended_from_ms: int | None = None
    ended_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterQuery:
    """Which dead letters; None matches all."""

    process: str | None = None
    environment: str | None = None
    execution: str | None = None
    error_class: str | None = None
    error_code: str | None = None


class DeadLetterCount(NamedTuple):
    """How many dead letters of a process have one cause."""

    process: str
    error_class: str
    error_code: str
    letters: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first; `cursor` asks for the page after, empty at the end."""

    rows: tuple[HistoryRow, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Newest first; `cursor` asks for the page after, empty at the end."""

    rows: tuple[DeadLetterRow, ...]
    cursor: str
