"""Reading a journal back: what is whole, what is a torn tail, what is damage.

A write is begun only after the one before it was synced, and begins with a MARK. So a broken place
with a whole MARK behind it was once durable: that is damage and nobody may go on. A broken place
behind the last MARK belongs to the last write, which may or may not have been synced: it is cut
and the journal is doubtful.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from molecule.model.errors import DamagedData
from molecule.raft import records
from molecule.raft.configuration import decode_all
from molecule.raft.journal import Journal, Segment, segment_name, segment_number
from molecule.raft.log import Log
from molecule.raft.outbox import SnapshotMark
from molecule.raft.ports import Files
from molecule.raft.records import HEADER_BYTES, Kind, NewerFormat, Record, SegmentHeader
from molecule.raft.settings import Bounds

_ADVICE = (
    "Do not edit or delete single files. If the other voters are healthy, remove this node"
    " from the cluster, empty its data folder and let it join again"
)


@dataclass(slots=True)
class _State:
    """What replaying has found so far."""

    log: Log
    term: int
    voted_for: str | None
    is_doubtful: bool
    end: int
    last_mark: int = 0
    is_opened: bool = False
    """The last segment says which configurations were set in segments before it."""
    segments: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tear:
    """The first place that is neither whole nor blank."""

    segment: int
    offset: int
    position: int


def open_journal(files: Files, *, bounds: Bounds | None = None, where: str = "journal") -> Journal:
    """The journal in a folder, cut behind its last whole record. Raises DamagedData and OSError."""
    bounds = bounds or Bounds()
    numbers = _numbers(files, where)
    contents = {number: files.read(segment_name(number)) for number in numbers}
    state, tear = _replay(contents, numbers, where)
    if tear is not None:
        _refuse_damage(contents, numbers, tear, where)
        _cut(files, contents, tear, bounds)
    else:
        _remove_unused(files, contents, state, bounds)
    _make_durable(files, contents, state)
    journal = Journal(files, bounds, log=state.log, segments=state.segments, end=state.end)
    journal.term, journal.voted_for = max(state.term, state.log.last_term), state.voted_for
    if state.log.last_term > state.term:
        journal.voted_for = None
    journal.is_doubtful = state.is_doubtful
    used = state.segments[-1].number
    is_next_kept = tear is None or tear.segment == used
    if is_next_kept and len(contents.get(used + 1, b"")) == bounds.segment_bytes:
        journal.adopt_spare(used + 1)
    states = bool(state.log.configurations) and not state.is_opened
    if tear is not None or states:
        _record(journal, doubts=tear is not None, states=states)
    return journal


def _record(journal: Journal, *, doubts: bool, states: bool) -> None:
    """That a tail was cut; what the beginning of a segment would say, had it been synced."""
    # A full disk must not keep a node from starting if it can be helped.
    allocation = journal.take_allocation() if journal.is_at_end else None
    if allocation is not None:
        allocation.run()
        journal.allocated()
    if doubts:
        journal.doubt()
    if states:
        journal.state_configurations()
    write = journal.take_write()
    if write is not None:
        write.run()
        journal.synced(write.position)


def _numbers(files: Files, where: str) -> list[int]:
    numbers = [number for name in files.names() if (number := segment_number(name)) is not None]
    if not numbers:
        raise DamagedData(f"{where} holds no segment of the journal. {_ADVICE}.", file=where)
    gap = next((low for low, high in pairwise(numbers) if high != low + 1), None)
    if gap is not None:
        missing = segment_name(gap + 1)
        raise DamagedData(f"{where}/{missing} is missing. {_ADVICE}.", file=missing)
    return numbers


def _replay(
    contents: dict[int, bytes], numbers: list[int], where: str
) -> tuple[_State, _Tear | None]:
    state: _State | None = None
    for number in numbers:
        data = contents[number]
        if state is not None and records.is_blank(data):
            later = (contents[other] for other in numbers if other > number)
            return state, None if all(map(records.is_blank, later)) else _tear_before(
                state, contents
            )
        header = _header(data, segment_name(number), where)
        if header is None or (state is not None and not _follows(state, header)):
            if state is None:
                raise DamagedData(
                    f"{where}/{segment_name(number)} is damaged at offset 0:"
                    f" its header is not whole. {_ADVICE}.",
                    file=segment_name(number),
                    offset=0,
                )
            return state, _tear_before(state, contents)
        if state is None:
            state = _State(
                log=Log(SnapshotMark(header.base_index, header.base_term)),
                term=header.term,
                voted_for=header.voted_for,
                is_doubtful=header.is_doubtful,
                end=0,
            )
        state.segments.append(Segment(number, header.base_position, header.base_index, len(data)))
        state.end = header.base_position + HEADER_BYTES
        state.is_opened = not state.log.configurations
        for record in records.records_from(data, header.base_position):
            _REPLAY[record.kind](state, record)
            state.end = record.end
        offset = state.end - header.base_position
        if not records.is_blank(data, offset):
            return state, _Tear(number, offset, state.end)
    if state is None:
        raise DamagedData(f"{where} holds only blank segments. {_ADVICE}.", file=where)
    return state, None


def _header(data: bytes, name: str, where: str) -> SegmentHeader | None:
    try:
        return records.decode_header(data)
    except NewerFormat as newer:
        raise DamagedData(
            f"{where}/{name} has journal format {newer.version},"
            f" this version reads up to {records.FORMAT_VERSION}."
            " Start the version of the product that wrote it, or a later one.",
            file=name,
            format=newer.version,
        ) from None


def _follows(state: _State, header: SegmentHeader) -> bool:
    last = state.segments[-1]
    return (
        header.base_position == last.base_position + last.size_bytes
        and header.previous_end == state.end
        and header.base_index == state.log.last_index
    )


def _tear_before(state: _State, contents: dict[int, bytes]) -> _Tear:
    """The end of what is whole, when the next segment does not join it."""
    last = state.segments[-1]
    offset = state.end - last.base_position
    return _Tear(last.number, min(offset, len(contents[last.number])), state.end)


def _refuse_damage(contents: dict[int, bytes], numbers: list[int], tear: _Tear, where: str) -> None:
    name = segment_name(tear.segment)
    base = tear.position - tear.offset
    for number in numbers[numbers.index(tear.segment) :]:
        data = contents[number]
        mark = records.last_mark_after(
            data, tear.offset if number == tear.segment else HEADER_BYTES, base
        )
        if mark is not None:
            raise DamagedData(
                f"{where}/{name} is damaged at offset {tear.offset}: what stood there was durable"
                f" once (a mark at position {mark} says so). {_ADVICE}.",
                file=name,
                offset=tear.offset,
            )
        base += len(data)


def _cut(files: Files, contents: dict[int, bytes], tear: _Tear, bounds: Bounds) -> None:
    """Blank everything from the tear on. The next segment stays as a spare.

    On a full disk there would be no other, and no room for the terms and marks to come.
    """
    for number in sorted(contents, reverse=True):
        if number > tear.segment:
            written = len(contents[number].rstrip(b"\0"))
            if number > tear.segment + 1 or len(contents[number]) != bounds.segment_bytes:
                files.remove(segment_name(number))
            elif written:
                files.write(segment_name(number), 0, bytes(written))
                files.sync(segment_name(number))
    name = segment_name(tear.segment)
    files.write(name, tear.offset, bytes(len(contents[tear.segment]) - tear.offset))
    files.sync(name)


def _make_durable(files: Files, contents: dict[int, bytes], state: _State) -> None:
    """Write everything behind the last mark again, then sync.

    It was read from memory: a process that was killed may not have synced it, and after a sync
    that failed the kernel believes that pages are clean which never reached the disk.
    """
    for segment in state.segments:
        start = max(state.last_mark - segment.base_position, 0)
        stop = min(state.end - segment.base_position, segment.size_bytes)
        if start < stop:
            files.write(segment.name, start, contents[segment.number][start:stop])
            files.sync(segment.name)


def _remove_unused(files: Files, contents: dict[int, bytes], state: _State, bounds: Bounds) -> None:
    """Spare segments of another size, or half allocated, are of no use."""
    used = state.segments[-1].number
    for number in sorted(contents, reverse=True):
        is_spare = number == used + 1 and len(contents[number]) == bounds.segment_bytes
        if number > used and not is_spare:
            files.remove(segment_name(number))


def _entry(state: _State, record: Record) -> None:
    index, term, command = records.decode_entry(record.payload)
    state.log.add((command, index, term), record.end)


def _term(state: _State, record: Record) -> None:
    state.term, state.voted_for = records.decode_term(record.payload)


def _cut_record(state: _State, record: Record) -> None:
    state.log.cut_from(records.decode_index(record.payload))


def _mark(state: _State, record: Record) -> None:
    state.last_mark = record.position


def _doubt(state: _State, _record: Record) -> None:
    state.is_doubtful = True


def _trust(state: _State, _record: Record) -> None:
    state.is_doubtful = False


def _configurations(state: _State, record: Record) -> None:
    state.log.configurations = decode_all(record.payload)
    state.is_opened = True


_REPLAY: dict[Kind, Callable[[_State, Record], None]] = {
    Kind.ENTRY: _entry,
    Kind.TERM: _term,
    Kind.CUT: _cut_record,
    Kind.MARK: _mark,
    Kind.DOUBT: _doubt,
    Kind.TRUST: _trust,
    Kind.CONFIGURATIONS: _configurations,
}
