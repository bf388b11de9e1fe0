"""CSV as RFC 4180 has it: a header row, then rows with as many fields.

A row is bad when it has another number of fields, cannot be decoded, is longer than the bound, or
opens a quote that nobody closes; then its first line alone is given up and reading goes on.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Final

from molecule.component.formats.records import (
    KEPT_BYTES,
    BadRecord,
    Declared,
    Read,
    Record,
    Unreadable,
)

_FIELD_LENGTH_MAX: Final = 2**31 - 1
_BOM: Final = b"\xef\xbb\xbf"


def csv_records(lines: Iterator[bytes], declared: Declared) -> Iterator[Read]:
    """Each row as a mapping of header names to texts. Raises `Unreadable` without a good header."""
    rows = _Rows(lines, declared)
    header = _header(rows, declared)
    number = 0
    for line, content in rows:
        if not content.strip(b"\r\n"):
            continue
        yield _record(number, line, content, header, declared)
        number += 1


def _header(rows: "_Rows", declared: Declared) -> list[str]:
    line, content = next(rows, (1, b""))
    try:
        names = _fields(content.removeprefix(_BOM), declared)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"the header in line {line} cannot be read: {error}") from None
    if not names or not all(names) or len(set(names)) != len(names):
        raise Unreadable("the first line must name each column once")
    return names


def _record(number: int, line: int, content: bytes, header: list[str], declared: Declared) -> Read:
    try:
        if len(content) > declared.record_bytes_max:
            reason = f"longer than {declared.record_bytes_max} bytes"
        else:
            fields = _fields(content, declared)
            if len(fields) == len(header):
                value = dict(zip(header, fields, strict=True))
                return Record(number, line, value, len(content))
            reason = f"{len(fields)} fields, the header has {len(header)}"
    except UnicodeDecodeError as error:
        reason = f"not {declared.charset}: byte {error.start} of the row"
    except csv.Error as error:
        reason = f"not CSV: {error}"
    return BadRecord(number, line, reason, content[:KEPT_BYTES])


def _fields(content: bytes, declared: Declared) -> list[str]:
    text = content.decode(declared.charset).rstrip("\r\n")
    if '"' not in text:
        return text.split(declared.separator)
    # The library would refuse fields of 128 KiB; the bound of the whole row was checked before.
    csv.field_size_limit(_FIELD_LENGTH_MAX)
    rows = list(csv.reader([text], delimiter=declared.separator, strict=True))
    return rows[0] if rows else []


class _Rows:
    """Lines joined into rows where a quoted field goes over a line end; with their line numbers."""

    def __init__(self, lines: Iterator[bytes], declared: Declared) -> None:
        self._lines = lines
        self._bound = declared.record_bytes_max
        self._separator = declared.separator.encode()
        self._ready: deque[tuple[int, bytes]] = deque()
        self._line = 0

    def __iter__(self) -> "_Rows":
        return self

    def __next__(self) -> tuple[int, bytes]:
        line, content = self._next_line()
        if b'"' not in content or not _is_open(content, self._separator):
            return line, content
        taken: list[tuple[int, bytes]] = []
        whole = bytearray(content)
        while len(whole) <= self._bound:
            try:
                more = self._next_line()
            except StopIteration:
                break
            taken.append(more)
            whole += more[1]
            if b'"' in more[1] and not _is_open(more[1], self._separator, inside=True):
                return line, bytes(whole)
        # Nobody closes the quote: the first line is the bad one, the others are rows of their own.
        self._ready.extendleft(reversed(taken))
        return line, content

    def _next_line(self) -> tuple[int, bytes]:
        if self._ready:
            return self._ready.popleft()
        content = next(self._lines)
        self._line += 1
        return self._line, content


def _is_open(line: bytes, separator: bytes, *, inside: bool = False) -> bool:
    """True when the line ends inside a quoted field; `inside`: it begins in one."""
    at = 0
    while at < len(line):
        if inside or line[at : at + 1] == b'"':
            at += not inside
            inside = False
            while True:
                at = line.find(b'"', at)
                if at < 0:
                    return True
                if line[at + 1 : at + 2] != b'"':
                    break
                at += 2
        at = line.find(separator, at)
        if at < 0:
            return False
        at += len(separator)
    return False
