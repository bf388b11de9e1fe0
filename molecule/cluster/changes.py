"""What one entry changed, for the shells: rows to write, executions to look at, alarms to raise.

Apply fills it and reads nothing back but `turned_away`. What each execution brings several of is a
named tuple: making a frozen dataclass costs several times as much. The rows of tables that change
in place are only marked here, in `DirtyMarks`, and encoded when the storage writer asks
(`apply.StateMachine.take_dirty`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from molecule.cluster.execution import (
    NO_NODE,
    Ended,
    Execution,
)
from molecule.cluster.outcome import Outcome
from molecule.cluster.state import (
    ClusterState,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, ExecutionId, NodeId, Token
from molecule.model.retention import RetentionClass

Row = tuple[str, str, bytes | None]
"""Table, key, encoded value; None: the row is gone."""

_ROWS_BEYOND: Final = ("ended", "truncated")
"""Kinds that are told even when an execution's timeline is full."""


class TimelineRow(NamedTuple):
    """One line of an execution's timeline; (execution, index, number) is its key."""

    execution: ExecutionId
    index: int  # type: ignore[assignment]  # nobody looks a value up in this tuple
    number: int
    at_ms: int
    kind: str
    node: NodeId
    token: Token
    attempt: int
    facts: Mapping[str, Any]


class HistoryRow(NamedTuple):
    """A terminal execution; `view` is all that `execution show` tells (see `views.execution`)."""

    execution: ExecutionId
    index: int  # type: ignore[assignment]  # nobody looks a value up in this tuple
    environment: str
    process: str
    version: str
    group: str
    state: ExecutionState
    accepted_at_ms: int
    ended_at_ms: int
    view: Mapping[str, Any]


class PayloadRow(NamedTuple):
    """A payload to keep: the encoded wire `Payload`, or None to remove what is there.

    `owner` is an execution's id with slot `input`, `position` or `result`; or
    `version/PROCESS/VERSION` with slot `package`; or `environment/NAME` with slot `settings`.
    """

    owner: str
    slot: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A failed document kept for repair; (index, number) is its key.

    `execution` may be empty for a
    record that never became one: then `group` names where it came from.
    """

    index: int
    number: int
    at_ms: int
    environment: str
    process: str
    version: str
    execution: str
    group: str
    document: str
    step: str
    error_class: str
    error_code: str
    error: str
    payload: bytes


class Transition(NamedTuple):
    """An execution changed its state; `source` is None when it was accepted."""

    execution: ExecutionId
    source: ExecutionState | None
    target: ExecutionState
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something apply survived and a person must know."""

    name: str
    facts: Mapping[str, Any]


class DirtyMarks:
    """Which rows changed since the last flush, in the order of their first change.

    `count` grows with every mark: a command that raised after marking may be half installed.
    """

    __slots__ = ("count", "marks")

    def __init__(self) -> None:
        self.marks: dict[tuple[str, str], None] = {}
        self.count = 0

    def mark(self, table: str, key: str) -> None:
        """Say that this row changes now."""
        self.count += 1
        self.marks[table, key] = None


@dataclass(slots=True)
class Changes:
    """All that one entry changed. Only apply fills it; afterwards it is for reading."""

    index: int
    at_ms: int
    dirty: DirtyMarks
    timeline: list[TimelineRow] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)
    payloads: list[PayloadRow] = field(default_factory=list)
    dead_letters: list[DeadLetterRow] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    documents: dict[Digest, int] = field(default_factory=dict)
    """Counts of references after this entry, of the documents whose count changed."""
    touched: dict[ExecutionId, None] = field(default_factory=dict)
    """Executions that changed in any way, in order: waiters look at these."""
    answered: list[ExecutionId] = field(default_factory=list)
    """Executions whose HTTP caller has an answer from now on."""
    nodes: dict[NodeId, None] = field(default_factory=dict)
    """Nodes whose registration or work changed."""
    triggers: dict[tuple[str, str], None] = field(default_factory=dict)
    """Deployments whose trigger was given to a node or taken away."""
    groups: dict[str, None] = field(default_factory=dict)
    turned_away: set[int] = field(default_factory=set)
    """Tokens of triggers of which this entry refused a submission that may be accepted later."""
    deployments_changed: bool = False
    horizons_moved: bool = False
    """A purge was committed: this voter has rows to delete."""
    alarms: list[Alarm] = field(default_factory=list)

    def touch(self, execution: Execution) -> None:
        """Its row changes now."""
        self.dirty.mark("executions", execution.id)
        self.touched[execution.id] = None

    def tell(
        self, state: ClusterState, execution: Execution, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Add a line to the timeline; when that is full only the end is still told."""
        limit = state.bounds.timeline_rows_per_execution_max
        if execution.timeline_rows >= limit and kind not in _ROWS_BEYOND:
            if execution.timeline_rows > limit:
                return
            kind, facts = "truncated", {"rows": limit}
        execution.timeline_rows += 1
        at = (execution.node, execution.token, execution.attempts)
        self._line(execution.id, kind, at, facts)

    def tell_ended(
        self, state: ClusterState, ended: Ended, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Add a line to the timeline of an execution that is terminal.

        Nothing is added to one that was purged: nobody would ever delete it.
        """
        horizon_ms = max(
            state.horizons[RetentionClass.TIMELINES], state.horizons[RetentionClass.HISTORY]
        )
        if ended.ended_at_ms < horizon_ms:
            return
        self._line(ended.id, kind, (NO_NODE, ended.token, 0), facts)

    def _line(
        self,
        execution: ExecutionId,
        kind: str,
        at: tuple[NodeId, Token, int],
        facts: Mapping[str, Any],
    ) -> None:
        number = len(self.timeline)
        row = TimelineRow(execution, self.index, number, self.at_ms, kind, *at, facts)
        self.timeline.append(row)


@dataclass(frozen=True, slots=True)
class DirtyRows:
    """The rows that changed since the last flush, with the point of the log they are true for."""

    index: int
    term: int
    rolling_hash: bytes
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What came of one entry: an outcome per command, in order, and all that changed."""

    index: int
    outcomes: tuple[Outcome, ...]
    changes: Changes
