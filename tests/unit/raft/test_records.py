"""Records and segment headers: whole or nothing."""

import pytest

from molecule.raft import records
from molecule.raft.records import HEADER_BYTES, Kind, NewerFormat, SegmentHeader

BASE = 4096


def a_segment(*payloads: bytes) -> bytes:
    data = bytearray(HEADER_BYTES)
    for payload in payloads:
        data += records.encode_record(Kind.ENTRY, payload, BASE + len(data))
    return bytes(data + bytes(64))


def a_header(**changes: object) -> SegmentHeader:
    facts: dict[str, object] = {
        "base_position": 16,
        "previous_end": 15,
        "base_index": 7,
        "base_term": 3,
        "term": 4,
        "voted_for": "node-1",
        "is_doubtful": True,
    }
    return SegmentHeader(**(facts | changes))  # type: ignore[arg-type]  # a builder with defaults


def test_records_come_back_in_order() -> None:
    found = list(records.records_from(a_segment(b"one", b"", b"three" * 9), BASE))

    assert [record.payload for record in found] == [b"one", b"", b"three" * 9]
    assert [record.position for record in found[1:]] == [record.end for record in found[:-1]]


def test_a_record_with_any_flipped_bit_is_no_record() -> None:
    data = a_segment(b"payload!")
    end = HEADER_BYTES + records.record_bytes(8)
    for place in range(HEADER_BYTES, end):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        assert records.decode_record(bytes(damaged), HEADER_BYTES, BASE) is None, place


def test_a_record_in_a_wrong_place_is_no_record() -> None:
    data = a_segment(b"payload")

    assert records.decode_record(data, HEADER_BYTES, BASE + 8) is None


def test_a_record_that_runs_past_the_segment_is_no_record() -> None:
    data = a_segment(b"x" * 100)[: HEADER_BYTES + 60]

    assert records.decode_record(data, HEADER_BYTES, BASE) is None


def test_the_last_mark_is_found_behind_damage() -> None:
    data = bytearray(HEADER_BYTES)
    data += b"\xff" * 40
    mark_at = len(data)
    data += records.encode_record(Kind.MARK, b"", BASE + mark_at)

    found = records.last_mark_after(bytes(data), HEADER_BYTES, BASE)

    assert found == BASE + mark_at


def test_a_header_comes_back() -> None:
    for header in (a_header(), a_header(voted_for=None, is_doubtful=False)):
        assert records.decode_header(records.encode_header(header)) == header


def test_a_header_with_any_flipped_bit_is_no_header() -> None:
    data = records.encode_header(a_header())
    for place in range(HEADER_BYTES):
        damaged = bytearray(data)
        damaged[place] ^= 0x01
        assert records.decode_header(bytes(damaged)) is None, place


def test_a_header_of_a_newer_format_is_told_from_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(records, "FORMAT_VERSION", 2)
        data = records.encode_header(a_header())

    with pytest.raises(NewerFormat):
        records.decode_header(data)
