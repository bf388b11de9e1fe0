"""Bytes to records, streamed.

A bad record is given as such and the rest goes on; only what spoils all that follows raises
`Unreadable`. Memory holds one chunk and one record, whatever the size of the input (JSON, text and
bytes as a whole are one record).
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from molecule.component.formats.csv_records import csv_records
from molecule.component.formats.records import (
    KEPT_BYTES,
    BadRecord,
    Declared,
    Read,
    Record,
    Unreadable,
)
from molecule.model import json_numbers

_GZIP: Final = 31
_OUT_BYTES: Final = 256 * 1024
_EXACT_MAX: Final = 2**53 - 1


def read(chunks: Iterable[bytes], declared: Declared) -> Iterator[Read]:
    """The records of these bytes, in order. Raises `Unreadable`."""
    plain = unzipped(chunks) if declared.compression == "gzip" else chunks
    if declared.format == "csv":
        return csv_records(lines(plain, declared.record_bytes_max), declared)
    if declared.format == "json_lines":
        bound = declared.record_bytes_max
        return _json_lines(lines(plain, bound), bound)
    return _whole(plain, declared)


def unzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompressed bytes of a gzip stream of one or more members, in bounded pieces."""
    inflate = zlib.decompressobj(_GZIP)
    seen = False
    members = 0
    for chunk in chunks:
        # Zeros may stand behind a member, wherever the pieces end.
        rest = chunk.lstrip(b"\0") if members and not seen else chunk
        while rest:
            seen = True
            try:
                piece = inflate.decompress(rest, _OUT_BYTES)
            except zlib.error as error:
                raise Unreadable(f"not gzip: {error}") from None
            if piece:
                yield piece
            rest = inflate.unconsumed_tail
            if inflate.eof:
                rest = inflate.unused_data.lstrip(b"\0")
                inflate = zlib.decompressobj(_GZIP)
                seen = False
                members += 1
    if not seen and not members:
        raise Unreadable("not gzip: there is nothing in it")
    if seen:
        rest = inflate.flush()
        if not inflate.eof:
            raise Unreadable("the gzip stream ends too early")
        yield rest


def lines(chunks: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    """Lines with their ends; of one longer than the bound, the beginning up to just over it."""
    waiting = bytearray()
    skipping = False
    for chunk in chunks:
        waiting += chunk
        start = 0
        while (end := waiting.find(b"\n", start)) >= 0:
            if not skipping:
                yield bytes(waiting[start : min(end + 1, start + bytes_max + 1)])
            skipping = False
            start = end + 1
        del waiting[:start]
        if len(waiting) > bytes_max:
            if not skipping:
                yield bytes(waiting[: bytes_max + 1])
            skipping = True
            waiting.clear()
    if waiting and not skipping:
        yield bytes(waiting)


def exact(value: Any) -> Any:
    """The value with whole numbers beyond 2^53 as text, so that no expression rounds them."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_MAX:
        return str(value)
    return value


def parse_json(content: bytes) -> Any:
    """A JSON value. Raises `ValueError` with the place."""
    return exact(json_numbers.loads(content, str))


def _json_lines(found: Iterator[bytes], bytes_max: int) -> Iterator[Read]:
    number = 0
    for line, content in enumerate(found, start=1):
        text = content.strip()
        if not text:
            continue
        try:
            if len(content) > bytes_max:
                yield BadRecord(
                    number, line, f"longer than {bytes_max} bytes", content[:KEPT_BYTES]
                )
            else:
                yield Record(number, line, parse_json(text), len(content))
        except ValueError as error:
            yield BadRecord(number, line, f"not JSON: {error}", content[:KEPT_BYTES])
        number += 1


def _whole(chunks: Iterable[bytes], declared: Declared) -> Iterator[Read]:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > declared.record_bytes_max:
            raise Unreadable(f"larger than {declared.record_bytes_max} bytes")
    try:
        yield Record(0, 1, _value(bytes(content), declared), len(content))
    except UnicodeDecodeError as error:
        kept = bytes(content[:KEPT_BYTES])
        line = content[: error.start].count(b"\n") + 1
        yield BadRecord(0, line, f"not {declared.charset}: byte {error.start}", kept)
    except ValueError as error:
        yield BadRecord(0, 1, f"not JSON: {error}", bytes(content[:KEPT_BYTES]))


def _value(content: bytes, declared: Declared) -> Any:
    if declared.format == "bytes":
        return content
    if declared.format == "json":
        return parse_json(content)
    return content.decode(declared.charset)
