"""The bytes of the journal: records and segment headers, and how damage is told from an end.

Leaves files, order of segments and meaning to `journal.py`. A record is whole only if its
checksum, which covers its own position, is right: bytes that landed in a wrong place are damage
too.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c

FORMAT_VERSION: Final = 1
SEGMENT_MAGIC: Final = b"MOLJRNL\0"
HEADER_BYTES: Final = 512
RECORD_MAGIC: Final = b"\xf5MR\x01"

_HEADER: Final = struct.Struct("<8sIIQQQQQBB")
_RECORD: Final = struct.Struct("<4sIIB3x")
_POSITION: Final = struct.Struct("<Q")
_ENTRY: Final = struct.Struct("<QQ")
RECORD_BYTES: Final = _RECORD.size
_ALIGNMENT: Final = 8


class Kind(IntEnum):
    """What a record says."""

    ENTRY = 1
    TERM = 2
    CUT = 3
    """Entries from this index on are no longer in the log."""
    MARK = 4
    """Everything before this record was durable when it was written."""
    DOUBT = 5
    """A torn tail was cut here; it may have been acknowledged."""
    TRUST = 6
    """A leader has since sent everything that was committed."""
    CONFIGURATIONS = 7
    """All configurations that stand at this place: segments before this one may be gone."""


_KINDS: Final = frozenset(int(kind) for kind in Kind)


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record; `end` is the position behind it."""

    kind: Kind
    payload: bytes
    position: int
    end: int


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What was true when the segment was begun."""

    base_position: int
    previous_end: int
    """Where the last record of the segment before ended."""
    base_index: int
    base_term: int
    term: int
    voted_for: str | None
    is_doubtful: bool


class NewerFormat(Exception):
    """The file was written by a later version of the product."""

    def __init__(self, version: int) -> None:
        super().__init__(f"format version {version}")
        self.version = version


def record_bytes(payload_size: int) -> int:
    """Bytes a record takes in a segment."""
    return RECORD_BYTES + payload_size + -payload_size % _ALIGNMENT


def encode_record(kind: Kind, payload: bytes, position: int) -> bytes:
    """The record as it stands at `position`."""
    tail = _RECORD.pack(RECORD_MAGIC, 0, len(payload), kind)[8:]
    checksum: int = google_crc32c.value(_POSITION.pack(position) + tail + payload)
    padding = b"\0" * (-len(payload) % _ALIGNMENT)
    return RECORD_MAGIC + checksum.to_bytes(4, "little") + tail + payload + padding


def decode_record(data: bytes, offset: int, base_position: int) -> Record | None:
    """The record at `offset` of a segment; None unless every bit of it is right."""
    if offset + RECORD_BYTES > len(data):
        return None
    magic, checksum, length, kind = _RECORD.unpack_from(data, offset)
    end = offset + record_bytes(length)
    if magic != RECORD_MAGIC or end > len(data):
        return None
    payload = data[offset + RECORD_BYTES : offset + RECORD_BYTES + length]
    position = base_position + offset
    covered = _POSITION.pack(position) + data[offset + 8 : offset + RECORD_BYTES] + payload
    if google_crc32c.value(covered) != checksum or kind not in _KINDS:
        return None
    return Record(Kind(kind), payload, position, base_position + end)


def records_from(data: bytes, base_position: int) -> Iterator[Record]:
    """Whole records in order, up to the first place that holds none."""
    offset = HEADER_BYTES
    while (record := decode_record(data, offset, base_position)) is not None:
        yield record
        offset = record.end - base_position


def last_mark_after(data: bytes, offset: int, base_position: int) -> int | None:
    """The greatest position of a whole MARK record at or behind `offset`, whatever lies between."""
    found = None
    place = data.find(RECORD_MAGIC, offset)
    while place >= 0:
        record = decode_record(data, place, base_position)
        if record is not None and record.kind is Kind.MARK:
            found = record.position
        place = data.find(RECORD_MAGIC, place + 1)
    return found


def is_blank(data: bytes, offset: int = 0) -> bool:
    """Only zeros from `offset` on."""
    return data.count(0, offset) == len(data) - offset


def encode_header(header: SegmentHeader) -> bytes:
    """The first bytes of a segment."""
    vote = (header.voted_for or "").encode()
    body = (
        _HEADER.pack(
            SEGMENT_MAGIC,
            FORMAT_VERSION,
            0,
            header.base_position,
            header.previous_end,
            header.base_index,
            header.base_term,
            header.term,
            header.is_doubtful,
            len(vote),
        )
        + vote
    ).ljust(HEADER_BYTES, b"\0")
    checksum: int = google_crc32c.value(body[8:12] + body[16:])
    return body[:12] + checksum.to_bytes(4, "little") + body[16:]


def decode_header(data: bytes) -> SegmentHeader | None:
    """The header of a segment; None when damaged. Raises NewerFormat.

    Magic, version, checksum and size of the header are the same in every version to come.
    """
    if len(data) < HEADER_BYTES or data[:8] != SEGMENT_MAGIC:
        return None
    fields = _HEADER.unpack_from(data)
    version, checksum = fields[1], fields[2]
    if google_crc32c.value(data[8:12] + data[16:HEADER_BYTES]) != checksum:
        return None
    if version > FORMAT_VERSION:
        raise NewerFormat(version)
    base_position, previous_end, base_index, base_term, term, is_doubtful, vote_size = fields[3:]
    vote = data[_HEADER.size : _HEADER.size + vote_size].decode()
    return SegmentHeader(
        base_position=base_position,
        previous_end=previous_end,
        base_index=base_index,
        base_term=base_term,
        term=term,
        voted_for=vote or None,
        is_doubtful=bool(is_doubtful),
    )


def encode_entry(index: int, term: int, command: bytes) -> bytes:
    """Payload of an ENTRY record."""
    return _ENTRY.pack(index, term) + command


def decode_entry(payload: bytes) -> tuple[int, int, bytes]:
    """Index, term and command of an ENTRY record."""
    index, term = _ENTRY.unpack_from(payload)
    return index, term, payload[_ENTRY.size :]


def encode_term(term: int, voted_for: str | None) -> bytes:
    """Payload of a TERM record."""
    return _POSITION.pack(term) + (voted_for or "").encode()


def decode_term(payload: bytes) -> tuple[int, str | None]:
    """Term and vote of a TERM record."""
    return _POSITION.unpack_from(payload)[0], payload[_POSITION.size :].decode() or None


def encode_index(index: int) -> bytes:
    """Payload of a CUT record."""
    return _POSITION.pack(index)


def decode_index(payload: bytes) -> int:
    """Index of a CUT record."""
    index: int = _POSITION.unpack_from(payload)[0]
    return index
