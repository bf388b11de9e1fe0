"""One flush: what several batches changed, as the few statements of one transaction.

`merged` is pure and may run in any thread. What must stay true: writing the same batches twice
leaves the same file, because a flush whose answer was lost is repeated.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from molecule.storage.row_sums import sum_of, with_track
from molecule.storage.rows import Batch, HistoryRow, Mark


class Statement(NamedTuple):
    """A statement and the values it is carried out with, one after the other."""

    sql: str
    values: list[tuple[Any, ...]]


_PUT_ROW: Final = "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?)"
_DROP_ROW: Final = "DELETE FROM snapshot WHERE table_name = ? AND key = ?"
_PUT_TIMELINE: Final = "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_HISTORY: Final = "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_TRACK: Final = "INSERT OR REPLACE INTO history_track VALUES (?, ?, ?, ?, ?)"
_PUT_PAYLOAD: Final = "INSERT OR REPLACE INTO payloads VALUES (?, ?, ?, ?, ?, ?)"
_DROP_PAYLOAD: Final = "DELETE FROM payloads WHERE execution = ? AND slot = ?"
_PUT_LETTER: Final = (
    "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_MARK: Final = "UPDATE meta SET value = ? WHERE name = ?"


def merged(batches: Sequence[Batch], mark: Mark) -> list[Statement]:
    """The statements of one transaction, the newest value of each key alone, the mark last."""
    rows = {(row[0], row[1]): row for batch in batches for row in batch.rows}
    payloads = {(row[0], row[1]): row for batch in batches for row in batch.payloads}
    history = {row[0]: row for batch in batches for row in batch.history}
    statements = [
        Statement(_PUT_ROW, [_summed(row) for row in rows.values() if row[2] is not None]),
        Statement(_DROP_ROW, [key for key, row in rows.items() if row[2] is None]),
        Statement(_PUT_TIMELINE, [_summed(row) for batch in batches for row in batch.timeline]),
        Statement(_PUT_HISTORY, [_history(row) for row in history.values()]),
        Statement(
            _PUT_TRACK,
            [
                (row[0], place, name, value, row[5])
                for row in history.values()
                for place, (name, value) in enumerate(row[7])
            ],
        ),
        Statement(_PUT_PAYLOAD, [_summed(row) for row in payloads.values() if _has_body(row)]),
        Statement(_DROP_PAYLOAD, [key for key, row in payloads.items() if not _has_body(row)]),
        Statement(_PUT_LETTER, [_summed(row) for batch in batches for row in batch.dead_letters]),
        Statement(_MARK, [(mark.index, "index"), (mark.term, "term"), (mark.hash, "hash")]),
    ]
    return [statement for statement in statements if statement.values]


def _summed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row, sum_of(row))


def _history(row: HistoryRow) -> tuple[Any, ...]:
    values = (*row[:7], row.body)
    return (*values, sum_of(with_track(values, row.track)))


def _has_body(row: tuple[Any, ...]) -> bool:
    return row[2] is not None or row[3] is not None
