"""The journal: log entries, terms and votes on disk, appended only, synced outside.

Reading it back is `recovery.py`, bytes are `records.py`, threads belong to the driver. What it
says is durable was synced; memory runs ahead of the disk and everything that depends on it waits
for `durable_position`.
"""

from dataclasses import dataclass, replace
from typing import Self

from molecule.model.errors import invariant
from molecule.raft import configuration, records
from molecule.raft.configuration import Configuration
from molecule.raft.log import Entry, Log
from molecule.raft.outbox import SnapshotMark
from molecule.raft.ports import Files
from molecule.raft.records import Kind, SegmentHeader
from molecule.raft.settings import Bounds
from molecule.raft.writes import Allocation, Write

BEGINNING = SnapshotMark(index=1, term=0)
"""The head of a new cluster's log."""


@dataclass(slots=True)
class Segment:
    """A segment in use: its place among the positions and the index below its first entry."""

    number: int
    base_position: int
    base_index: int
    size_bytes: int
    begun: int = 0
    """Once durable up to here it can be read without the segments before it."""

    @property
    def name(self) -> str:
        """Its file; names sort like positions."""
        return segment_name(self.number)


def segment_name(number: int) -> str:
    """The file of a segment."""
    return f"{number:010d}.segment"


def segment_number(name: str) -> int | None:
    """The number in a segment's name; None for any other file."""
    stem, _, suffix = name.partition(".")
    return int(stem) if suffix == "segment" and stem.isdigit() else None


class Journal:
    """One voter's durable memory. Not safe for threads, except the values it hands out."""

    def __init__(
        self, files: Files, bounds: Bounds, *, log: Log, segments: list[Segment], end: int
    ) -> None:
        self._files = files
        self._bounds = bounds
        self.log = log
        self._segments = segments
        self._end = end
        self.durable_position = end
        self.term = 0
        self.voted_for: str | None = None
        self.is_doubtful = False
        self.term_position = 0
        """Where the newest term or vote ends: whatever speaks of this term waits for it."""
        self._spare: int | None = None
        self._allocating: Allocation | None = None
        self._removable: list[str] = []
        self._pieces: list[tuple[str, int, bytes]] = []
        self._batch_is_open = False
        self._write_is_out = False

    @classmethod
    def create(
        cls,
        files: Files,
        *,
        base: SnapshotMark = BEGINNING,
        term: int = 0,
        voted_for: str | None = None,
        is_doubtful: bool = False,
        bounds: Bounds | None = None,
    ) -> Self:
        """A new journal in an empty folder, beginning at `base`; durable on return.

        Raises OSError.
        """
        bounds = bounds or Bounds()
        header = SegmentHeader(
            base_position=0,
            previous_end=0,
            base_index=base.index,
            base_term=base.term,
            term=term,
            voted_for=voted_for,
            is_doubtful=is_doubtful,
        )
        segment = Segment(1, 0, base.index, bounds.segment_bytes)
        files.allocate(segment.name, bounds.segment_bytes)
        log = Log(base)
        if base.configuration is not None:
            log.configurations = [base.configuration]
        opening = _opening(log.configurations, records.HEADER_BYTES)
        files.write(segment.name, 0, records.encode_header(header) + opening)
        files.sync(segment.name)
        end = records.HEADER_BYTES + len(opening)
        journal = cls(files, bounds, log=log, segments=[segment], end=end)
        journal.term, journal.voted_for, journal.is_doubtful = term, voted_for, is_doubtful
        return journal

    @property
    def position(self) -> int:
        """The end of everything added, durable or not."""
        return self._end

    @property
    def last_index(self) -> int:
        """Index of the last entry in memory."""
        return self.log.last_index

    @property
    def last_term(self) -> int:
        """Term of the last entry in memory."""
        return self.log.last_term

    @property
    def head(self) -> SnapshotMark:
        """The entry below the first one held."""
        return self.log.head

    @property
    def durable_index(self) -> int:
        """The last entry that is on disk."""
        return self.log.durable_index(self.durable_position)

    def entry(self, index: int) -> tuple[int, bytes]:
        """Term and command of an entry that is held."""
        term = self.log.term_at(index)
        invariant(term is not None, "an entry is not held", index=index)
        return term or 0, self.log.command_at(index)

    # --- adding -------------------------------------------------------------------------------

    def has_room(self, size_bytes: int, entries: int) -> bool:
        """Whether entries of this total size fit, without the reserve kept for terms and marks."""
        needed = size_bytes + entries * (records.record_bytes(16) + 8) + records.record_bytes(0)
        needed += self._bounds.reserve_bytes
        current = self._segments[-1]
        if needed <= current.base_position + current.size_bytes - self._end:
            return True
        if self._spare is None:
            return False
        begun = records.HEADER_BYTES + len(_opening(self.log.configurations, 0))
        return needed <= self._bounds.segment_bytes - begun

    @property
    def is_crowded(self) -> bool:
        """Whether the configurations since the last snapshot fill half of a new segment."""
        return 2 * len(_opening(self.log.configurations, 0)) > self._bounds.segment_bytes

    @property
    def is_at_end(self) -> bool:
        """Whether not even a mark, a doubt and the configurations fit into the segment in use."""
        current = self._segments[-1]
        rest = current.base_position + current.size_bytes - self._end
        return rest < 2 * records.record_bytes(0) + len(_opening(self.log.configurations, 0))

    def add(self, entry: Entry) -> None:
        """Append an entry; `has_room` must have said yes."""
        command, index, term = entry
        end = self._append(Kind.ENTRY, records.encode_entry(index, term, command))
        self.log.add(entry, end)

    def cut_from(self, index: int) -> None:
        """Take the entries from `index` on out of the log."""
        self._append(Kind.CUT, records.encode_index(index))
        self.log.cut_from(index)

    def set_term(self, term: int, voted_for: str | None) -> None:
        """Record the term and the vote in it."""
        if (term, voted_for) == (self.term, self.voted_for):
            return
        self.term_position = self._append(Kind.TERM, records.encode_term(term, voted_for))
        self.term, self.voted_for = term, voted_for

    def doubt(self) -> None:
        """Record that a tail was lost, so that a restart does not forget it."""
        self._append(Kind.DOUBT, b"")
        self.is_doubtful = True

    def trust(self) -> None:
        """Record that everything lost has been sent again."""
        self._append(Kind.TRUST, b"")
        self.is_doubtful = False

    def state_configurations(self) -> None:
        """Record which configurations stand here, in a segment whose beginning lost them."""
        self._append(Kind.CONFIGURATIONS, configuration.encode_all(self.log.configurations))

    def _append(self, kind: Kind, payload: bytes) -> int:
        if not self._batch_is_open:
            # Written only after the write before it was synced, so by then the mark is true.
            self._batch_is_open = True
            self._append(Kind.MARK, b"")
        size = records.record_bytes(len(payload))
        segment = self._segments[-1]
        if self._end + size > segment.base_position + segment.size_bytes:
            segment = self._begin_segment()
        data = records.encode_record(kind, payload, self._end)
        self._pieces.append((segment.name, self._end - segment.base_position, data))
        self._end += size
        return self._end

    def _begin_segment(self) -> Segment:
        invariant(self._spare is not None, "the journal has no room for terms and marks")
        before = self._segments[-1]
        segment = Segment(
            self._spare or 0,
            before.base_position + before.size_bytes,
            self.log.last_index,
            self._bounds.segment_bytes,
        )
        header = SegmentHeader(
            base_position=segment.base_position,
            previous_end=self._end,
            base_index=self.log.last_index,
            base_term=self.log.last_term,
            term=self.term,
            voted_for=self.voted_for,
            is_doubtful=self.is_doubtful,
        )
        self._end = segment.base_position + records.HEADER_BYTES
        opening = _opening(self.log.configurations, self._end)
        self._pieces.append((segment.name, 0, records.encode_header(header) + opening))
        self._segments.append(segment)
        self._end += len(opening)
        segment.begun = self._end
        self._spare = None
        return segment

    # --- work for a thread --------------------------------------------------------------------

    @property
    def wants_write(self) -> bool:
        """Something was added since the last write was taken, and none is out."""
        return bool(self._pieces) and not self._write_is_out

    def take_write(self) -> Write | None:
        """Everything added so far, as one write; None while another is out.

        Answer it with `synced`.
        """
        if not self.wants_write:
            return None
        pieces, self._pieces = _joined(self._pieces), []
        self._batch_is_open = False
        self._write_is_out = True
        return Write(self._files, pieces, self._end)

    def synced(self, position: int) -> None:
        """The write that ends at `position` is durable."""
        self._write_is_out = False
        self.durable_position = max(self.durable_position, position)

    @property
    def wants_allocation(self) -> bool:
        """A spare segment is missing or old ones may go, and nobody is at it."""
        return self._allocating is None and (self._spare is None or bool(self._removable))

    def take_allocation(self) -> Allocation | None:
        """Work that makes room; None while other is out.

        Answer it with `allocated` or `allocation_failed`.
        """
        if not self.wants_allocation:
            return None
        name = segment_name(self._segments[-1].number + 1) if self._spare is None else None
        removals, self._removable = tuple(self._removable), []
        self._allocating = Allocation(self._files, removals, name, self._bounds.segment_bytes)
        return self._allocating

    def adopt_spare(self, number: int) -> None:
        """A blank segment that was allocated in an earlier life."""
        self._spare = number

    def allocated(self) -> None:
        """The allocation taken last was carried out."""
        done, self._allocating = self._allocating, None
        if done is not None and done.name is not None:
            self._spare = self._segments[-1].number + 1

    def allocation_failed(self) -> None:
        """The allocation taken last was not carried out; it may be taken again."""
        failed, self._allocating = self._allocating, None
        if failed is not None:
            self._removable = [*failed.removals, *self._removable]

    # --- snapshots ----------------------------------------------------------------------------

    def begin_at(self, mark: SnapshotMark) -> bool:
        """Present the log from a snapshot on, keeping all entries above it.

        False: they cannot be joined.
        """
        held = self.log.term_at(mark.index)
        if held is None or (held not in (mark.term, 0)):
            return False
        self.log.move_head(mark)
        return True

    def forget_all_above(self, mark: SnapshotMark) -> None:
        """What the library does unless its journal begins exactly at the snapshot.

        Simulator only.
        """
        self._append(Kind.CUT, records.encode_index(mark.index + 1))
        self.log.restart_at(mark)

    def cut_below(self, mark: SnapshotMark) -> None:
        """A snapshot of `mark` is durable: forget what no follower is likely to need any more."""
        saved = min(mark.index, self.last_index)
        index = self.log.first_within(saved, self._bounds.bytes_kept)
        index = max(index, saved - self._bounds.entries_kept)
        term = self.log.term_at(index)
        if term is not None and index > self.head.index:
            self.log.move_head(SnapshotMark(index, term))
        # A segment is needed until the next one begins at or below the snapshot, and durably so:
        # a journal whose first header was never synced could not be read after a power loss.
        while len(self._segments) > 1 and self._is_needless(self._segments[1], mark):
            self._removable.append(self._segments.pop(0).name)

    def _is_needless(self, following: Segment, mark: SnapshotMark) -> bool:
        """Whether nothing before this segment is needed to read the log from the snapshot on."""
        return following.base_index <= mark.index and self.durable_position >= following.begun

    def install(
        self, files: Files, mark: SnapshotMark, *, bounds: Bounds | None = None
    ) -> "Journal":
        """The journal of a new generation whose state stands at `mark`; durable on return.

        Keeps term, vote and doubt, and the entries above the mark if this log agrees with it: they
        may have been acknowledged.
        """
        agrees = self.log.term_at(mark.index) == mark.term
        if agrees and mark.configuration is None:
            mark = replace(mark, configuration=self.log.configuration_at(mark.index))
        journal = Journal.create(
            files,
            base=mark,
            term=self.term,
            voted_for=self.voted_for,
            is_doubtful=self.is_doubtful,
            bounds=bounds or self._bounds,
        )
        if not agrees:
            return journal
        for entry in self.log.entries[mark.index - self.head.index + 1 :]:
            if not journal.has_room(len(entry[0]), 1):
                allocation = journal.take_allocation()
                invariant(allocation is not None, "a second allocation while one is out")
                if allocation is not None:
                    allocation.run()
                journal.allocated()
            journal.add(entry)
        write = journal.take_write()
        if write is not None:
            write.run()
            journal.synced(write.position)
        return journal


def _opening(configurations: list[Configuration], position: int) -> bytes:
    """The first record of a segment, which later may be the first one there is."""
    if not configurations:
        return b""
    payload = configuration.encode_all(configurations)
    return records.encode_record(Kind.CONFIGURATIONS, payload, position)


def _joined(pieces: list[tuple[str, int, bytes]]) -> tuple[tuple[str, int, bytes], ...]:
    """Neighbouring pieces of one segment as one, so that a batch is one system call."""
    joined: list[tuple[str, int, list[bytes]]] = []
    end = -1
    for name, offset, data in pieces:
        if joined and joined[-1][0] == name and end == offset:
            joined[-1][2].append(data)
        else:
            joined.append((name, offset, [data]))
        end = offset + len(data)
    return tuple((name, offset, b"".join(parts)) for name, offset, parts in joined)
