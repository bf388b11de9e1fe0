"""What reading a format gives, and how a format is declared."""

from dataclasses import dataclass
from typing import Any, Final

FORMATS: Final = ("csv", "json", "json_lines", "text", "bytes")
COMPRESSIONS: Final = ("none", "gzip")
KEPT_BYTES: Final = 1024
"""How much of a bad record is kept for people."""
CHARSETS: Final = ("utf-8", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252")
"""Charsets in which a line ends with the byte 10, so that one bad line spoils no other."""


@dataclass(frozen=True, slots=True)
class Declared:
    """How bytes are to be read. `record_bytes_max` bounds one record, `separator` is CSV's."""

    format: str
    charset: str = "utf-8"
    compression: str = "none"
    separator: str = ","
    record_bytes_max: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `number` counts all records from 0, bad ones too; `line` counts from 1.

    `size_bytes` is what it took in the input.
    """

    number: int
    line: int
    value: Any
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read: why, and its bytes as far as kept."""

    number: int
    line: int
    reason: str
    content: bytes


class Unreadable(Exception):
    """Nothing more can be read: damaged compression, no header, a whole that is too large."""


Read = Record | BadRecord
