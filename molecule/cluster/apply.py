"""The one door of the replicated state: an entry of the log goes in, outcomes and changes come out.

What commands mean belongs to the `apply_*` modules, writing rows to the storage. What stays true:
the same entries give the same outcomes and the same hash on every replica, and no entry can make it
raise, but one that this software must not judge (`StopNode`).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Self

from google.protobuf.message import DecodeError

from molecule.cluster import bounds, claims, commands, dedup, hashing, restoring, rows
from molecule.cluster.changes import Alarm, Changes, DirtyMarks, DirtyRows, EntryResult, Row
from molecule.cluster.outcome import Outcome, Rejected, StopNode
from molecule.cluster.state import ClusterState
from molecule.wire.v1 import commands_pb2 as wire


class StateMachine:
    """A node's replica, for one caller at a time. Read `state`; only `apply_entry` changes it."""

    def __init__(
        self, state: ClusterState | None = None, *, term: int = 0, rolling_hash: bytes = b""
    ) -> None:
        self.state = state if state is not None else ClusterState()
        self.term = term
        self.rolling_hash = rolling_hash or hashing.START
        self._dirty = DirtyMarks()
        self._encoded: dict[tuple[str, str], bytes | None] = {}

    @classmethod
    def restore(cls, rows: Iterable[Row], *, index: int, term: int, rolling_hash: bytes) -> Self:
        """The machine as it was when it gave these rows; `DamagedData` when they cannot be read."""
        return cls(restoring.state_from(rows, index=index), term=term, rolling_hash=rolling_hash)

    @property
    def index(self) -> int:
        """Log index of the last entry applied."""
        return self.state.index

    def apply_entry(self, index: int, term: int, entry: bytes) -> EntryResult:
        """Apply one committed entry; entries come once each, in the order of the log.

        Raises only `StopNode` and what means that this process cannot be trusted (MemoryError,
        RecursionError, a broken invariant): the node must stop and apply the entry again after a
        restart.
        """
        decoded = self._decode(entry)
        state = self.state
        changes = Changes(index=index, at_ms=state.time_ms, dirty=self._dirty)
        if decoded is None:
            changes.alarms.append(Alarm("entry_malformed", {"index": index, "size": len(entry)}))
            outcomes: tuple[Outcome, ...] = (Rejected("malformed"),)
        else:
            for command in decoded.commands:
                commands.check_known(command)
            state.time_ms = max(state.time_ms, bounds.instant(decoded.at_ms))
            changes.at_ms = state.time_ms
            state.index = index
            dedup.forget(state, self._dirty, commands_now=len(decoded.commands))
            claims.forget(state, self._dirty, commands_now=len(decoded.commands))
            outcomes = tuple(self._apply(command, changes) for command in decoded.commands)
        state.index = index
        self.term = term
        self.rolling_hash = hashing.roll(self.rolling_hash, entry, outcomes)
        self._dirty.mark("header", "")
        return EntryResult(index, outcomes, changes)

    def dirty_count(self) -> int:
        """How many rows `take_dirty` would have to encode."""
        return len(self._dirty.marks)

    def encode_dirty(self, count: int) -> None:
        """Encode so many of the changed rows ahead of `take_dirty`, which then holds up nobody.

        Entries may be applied in between: what they change is encoded again.
        """
        marks = self._dirty.marks
        for table, key in list(islice(marks, count)):
            self._encoded[table, key] = rows.encode(self.state, table, key)
            del marks[table, key]

    def take_dirty(self) -> DirtyRows:
        """The rows that changed since the last call, true for the index they carry.

        The caller writes all of them in one transaction, together with the appended rows of the
        same entries; a failed write means a restart, because nothing is marked twice.
        """
        self.encode_dirty(len(self._dirty.marks))
        encoded, self._encoded = self._encoded, {}
        changed = [(table, key, value) for (table, key), value in encoded.items()]
        return DirtyRows(self.state.index, self.term, self.rolling_hash, changed)

    def rows(self) -> Iterator[Row]:
        """Every row of the state: what a snapshot holds when nothing is dirty."""
        return rows.every(self.state)

    def state_hash(self) -> bytes:
        """The hash of the whole state, equal on all replicas at one index. Reads every row."""
        return hashing.of_rows(self.rows())

    def _decode(self, entry: bytes) -> wire.Entry | None:
        try:
            return wire.Entry.FromString(entry)
        except DecodeError:
            return None

    def _apply(self, command: wire.Command, changes: Changes) -> Outcome:
        before = self._dirty.count
        told = len(changes.timeline)
        try:
            return commands.dispatch(self.state, command, changes)
        except (MemoryError, RecursionError) as error:
            raise StopNode("this process ran out of memory or stack while it applied") from error
        except Exception as error:  # the boundary named in docs/style.md: apply is total
            if self._dirty.count != before or len(changes.timeline) != told:
                raise StopNode(f"a command was half installed: {error!r}") from error
            facts = {"kind": str(command.WhichOneof("kind")), "error": repr(error)}
            changes.alarms.append(Alarm("apply_failed", facts))
            return Rejected("internal")
