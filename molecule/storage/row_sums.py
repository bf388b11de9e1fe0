"""A checksum in each row that holds something: a bit that flips on the disk is seen.

SQLite looks after the structure of its pages, not after what is in them: a changed value would be
loaded, and this voter would go on with another state than all others. Pure.
"""

from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

SUMMED: Final = frozenset({"snapshot", "payloads", "timeline", "dead_letters"})
"""Tables whose rows have the sum of their other columns as the last one.

That of `history` is of its row and of those in `history_track` that belong to it.
"""


def sum_of(values: Sequence[str | bytes | int | None]) -> int:
    """Of the columns of a row, in their order."""
    # Against chance, not against people: whoever can write the file can write the sum.
    return crc32(b"\0".join(v if isinstance(v, bytes) else repr(v).encode() for v in values))


def is_whole(row: Sequence[Any]) -> bool:
    """Whether a row is what was written, as the sum in its last column tells.

    None there: the row was written before its table had sums, and nobody knows.
    """
    return row[-1] is None or bool(sum_of(row[:-1]) == row[-1])


def with_track(row: Sequence[Any], track: Sequence[Sequence[str]]) -> tuple[Any, ...]:
    """The values that the sum of a history row is of."""
    return (*row, *(part for pair in track for part in pair))
