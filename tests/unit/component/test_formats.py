"""Bytes to records, in whatever pieces they come."""

import csv
import gzip
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from molecule.component.formats import writing
from molecule.component.formats.reading import lines, read, unzipped
from molecule.component.formats.records import BadRecord, Declared, Record, Unreadable

CSV = Declared("csv")
CELL = st.text(alphabet=st.sampled_from('ab,"\n \r;'), max_size=6)


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def good(content: bytes, declared: Declared = CSV, size: int = 7) -> list[Any]:
    found = list(read(pieces(content, size), declared))
    assert all(isinstance(record, Record) for record in found), found
    return [record.value for record in found if isinstance(record, Record)]


def told(content: bytes, declared: Declared = CSV) -> list[tuple[int, int, str]]:
    """(number, line, "" or reason) of every record."""
    return [
        (r.number, r.line, r.reason if isinstance(r, BadRecord) else "")
        for r in read(pieces(content, 5), declared)
    ]


def test_csv_rows_are_texts_by_the_names_of_the_header() -> None:
    assert good(b"a,b\r\n1,\r\n\r\n 2 ,x\n") == [{"a": "1", "b": ""}, {"a": " 2 ", "b": "x"}]
    assert good(b"\xef\xbb\xbfa\n1") == [{"a": "1"}]
    assert good(b"a;b\n1;2\n", Declared("csv", separator=";")) == [{"a": "1", "b": "2"}]
    assert good("a\nKöln\n".encode("iso-8859-1"), Declared("csv", "iso-8859-1")) == [{"a": "Köln"}]


def test_a_quoted_field_goes_over_line_ends_and_lines_are_still_counted() -> None:
    assert good(b'a,b\n"x\ny","""q"""\nz,1\n') == [{"a": "x\ny", "b": '"q"'}, {"a": "z", "b": "1"}]
    assert told(b'a,b\n"x\ny",1\nz\n') == [(0, 2, ""), (1, 4, "1 fields, the header has 2")]


def test_reading_a_long_quoted_field_costs_as_much_as_it_is_long() -> None:
    field = '""name"": ""x"",\n' * 12_000
    content = f'a,b\n1,"{field}"\n2,3\n'.encode()
    before = time.process_time()
    assert [record["a"] for record in good(content, size=65536)] == ["1", "2"]
    assert time.process_time() - before < 3


def test_one_bad_row_spoils_no_other() -> None:
    content = b'a,b\n1,2\n1,2,3\n\xff,1\n"open,1\nlast,1\n'
    assert told(content) == [
        (0, 2, ""),
        (1, 3, "3 fields, the header has 2"),
        (2, 4, "not utf-8: byte 0 of the row"),
        (3, 5, "not CSV: unexpected end of data"),
        (4, 6, ""),
    ]


def test_a_quote_inside_a_plain_field_is_a_letter() -> None:
    assert good(b'a,b\n5" pipe,1\n6" pipe,2\n') == [
        {"a": '5" pipe', "b": "1"},
        {"a": '6" pipe', "b": "2"},
    ]


@pytest.mark.parametrize("format_", ["csv", "json_lines"])
def test_of_a_record_over_the_bound_nothing_is_taken_for_another(format_: str) -> None:
    row = {"csv": b"x,1\n", "json_lines": b"[1]\n"}[format_]
    content = row + b"y" * 50 + row + row
    header = b"a,b\n" if format_ == "csv" else b""
    found = told(header + content, Declared(format_, record_bytes_max=20))
    assert [reason for _, _, reason in found] == ["", "longer than 20 bytes", ""]


@pytest.mark.parametrize("content", [b"", b"\n1\n", b"a,,b\n", b"a,a\n", b"\xff\n", b'"a\n'])
def test_a_header_that_names_no_columns_makes_all_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        list(read([content], CSV))


def test_json_lines_keep_bad_lines_apart() -> None:
    declared = Declared("json_lines")
    assert told(b'{"a":1}\n\n{oops\n2\n', declared) == [
        (0, 1, ""),
        (1, 3, "not JSON: unexpected character, expected a string key: line 1 column 2 (char 1)"),
        (2, 4, ""),
    ]


def test_whole_numbers_beyond_2_to_53_arrive_as_texts() -> None:
    assert good(b"[9007199254740993, 9007199254740991]", Declared("json")) == [
        ["9007199254740993", 9007199254740991]
    ]
    for digits in ("18446744073709551616", "-9223372036854775809", "7" * 300):
        content = b'{"n": %b, "f": 0.12345678901234567890}' % digits.encode()
        assert good(content, Declared("json_lines")) == [{"n": digits, "f": 0.12345678901234568}]


def test_a_whole_over_the_bound_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="larger than 10 bytes"):
        list(read([b"x" * 6, b"x" * 6], Declared("text", record_bytes_max=10)))


def test_a_packed_bomb_is_read_in_bounded_pieces() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    assert max(len(piece) for piece in unzipped([bomb])) <= 256 * 1024
    found = list(lines(unzipped([bomb]), 1_000_000))
    assert [len(piece) for piece in found] == [1_000_001]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_gzip_stream_that_ends_early_is_told(cut: int) -> None:
    with pytest.raises(Unreadable, match="ends too early"):
        list(unzipped([gzip.compress(b"hello" * 100)[:-cut]]))


def test_nothing_is_no_gzip() -> None:
    for chunks in ([], [b""]):
        with pytest.raises(Unreadable, match="not gzip"):
            list(unzipped(chunks))


@pytest.mark.parametrize("size", [1, 7, 29, 31, 1_000])
def test_zeros_behind_a_member_are_padding_wherever_the_pieces_end(size: int) -> None:
    padded = gzip.compress(b"a") + b"\0" * 64
    assert b"".join(unzipped(pieces(padded, size))) == b"a"
    assert b"".join(unzipped(pieces(padded + gzip.compress(b"b"), size))) == b"ab"


# Its examples are small: on a busy machine it is the machine that is slow.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400), st.binary(max_size=400), st.integers(1, 50))
def test_gzip_members_in_any_pieces_give_their_content(
    first: bytes, second: bytes, size: int
) -> None:
    packed = gzip.compress(first) + gzip.compress(second)
    assert b"".join(unzipped(pieces(packed, size))) == first + second


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.integers(1, 30))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]], size: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(rows)
    found = good(out.getvalue().encode(), size=size)
    assert found == [{"a": first, "b": second} for first, second in rows]


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_at_all_are_read_to_their_end(content: bytes, size: int) -> None:
    for format_ in ("csv", "json_lines", "json", "text"):
        header = b"a,b\n" if format_ == "csv" else b""
        found = list(read(pieces(header + content, size), Declared(format_)))
        assert [record.number for record in found] == list(range(len(found)))


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.text(alphabet="xy,\"\n;'", max_size=5), "b": st.text("z")}),
        min_size=1,
        max_size=5,
    )
)
def test_written_csv_is_read_back(rows: list[dict[str, str]]) -> None:
    filled = [{name: value or "-" for name, value in row.items()} for row in rows]
    assert good(writing.write(filled, "csv")) == filled
