"""The questions people ask of history and dead letters, as SQL with bound values.

Pure: text and values in, text and values out. A cursor holds the place of the last row that was
given, so pages neither skip nor repeat a row while new ones arrive.
"""

import base64
import binascii
from typing import Any, Final

import orjson

from molecule.model.errors import InvalidInput
from molecule.storage.rows import (
    DeadLetterQuery,
    DeadLetterRow,
    HistoryQuery,
    HistoryRow,
)

_INTEGER_MAX: Final = 2**63 - 1
"""Of SQLite."""

_HISTORY: Final = """
SELECT h.execution, h.process, h.environment, h.state, h.submitted_at_ms, h.ended_at_ms,
       h.log_index, h.body,
       (SELECT json_group_array(json_array(name, value)) FROM
         (SELECT name, value FROM history_track WHERE execution = h.execution ORDER BY place)),
       h.sum
FROM history AS h
"""
_DEAD_LETTERS: Final = """
SELECT log_index, position, at_ms, process, environment, execution, document, step,
       error_class, error_code, error, inline, digest, size_bytes, sum
FROM dead_letters
"""

DEAD_LETTER_ONE: Final = _DEAD_LETTERS + "WHERE log_index = ? AND position = ?"
HISTORY_ONE: Final = _HISTORY + "WHERE h.execution = ?"
_PAYLOADS_OF: Final = "SELECT p.execution, p.slot, p.inline, p.digest, p.size_bytes, p.sum"
PAYLOAD: Final = _PAYLOADS_OF + " FROM payloads AS p WHERE p.execution = ? AND p.slot = ?"
TIMELINE: Final = (
    "SELECT execution, log_index, position, at_ms, event, body, sum FROM timeline "
    "WHERE execution = ? AND (log_index, position) > (?, ?) ORDER BY log_index, position LIMIT ?"
)
COUNTS: Final = (
    "SELECT process, error_class, error_code, count(*) FROM dead_letters "
    "WHERE ?1 IS NULL OR process = ?1 "
    "GROUP BY process, error_class, error_code ORDER BY process, error_class, error_code"
)


def payloads(count: int) -> str:
    """The question for so many payloads by execution and slot.

    A join in this order: asked with IN, SQLite looks through the whole table.
    """
    names = ", ".join(["(?, ?)"] * count)
    return (
        f"WITH named (execution, slot) AS (VALUES {names}) {_PAYLOADS_OF} "
        "FROM named CROSS JOIN payloads AS p USING (execution, slot)"
    )


def history(query: HistoryQuery, cursor: str, limit: int) -> tuple[str, list[Any]]:
    """SQL and values for a page of ended executions, newest first, one row more than `limit`."""
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, *bound: object) -> None:
        conditions.append(condition)
        values.extend(bound)

    if query.process is not None:
        add("h.process = ?", query.process)
    if query.state is not None:
        add("h.state = ?", query.state)
    if query.environment is not None:
        add("h.environment = ?", query.environment)
    if query.track is not None:
        add(
            "h.execution IN (SELECT execution FROM history_track WHERE name = ? AND value = ?)",
            *query.track,
        )
    if query.ended_from_ms is not None:
        add("h.ended_at_ms >= ?", query.ended_from_ms)
    if query.ended_to_ms is not None:
        add("h.ended_at_ms < ?", query.ended_to_ms)
    if cursor:
        add("(h.ended_at_ms, h.execution) < (?, ?)", *_place(cursor, (int, str)))
    values.append(limit + 1)
    return (
        _HISTORY + _where(conditions) + " ORDER BY h.ended_at_ms DESC, h.execution DESC LIMIT ?",
        values,
    )


def is_found(row: HistoryRow, query: HistoryQuery, cursor: str) -> bool:
    """What the statement of `history` asks, of a row that is not on disk yet."""
    wanted = (
        (query.process, row.process),
        (query.state, row.state),
        (query.environment, row.environment),
    )
    if any(asked not in (None, found) for asked, found in wanted):
        return False
    if query.track is not None and query.track not in row.track:
        return False
    if query.ended_from_ms is not None and row.ended_at_ms < query.ended_from_ms:
        return False
    if query.ended_to_ms is not None and row.ended_at_ms >= query.ended_to_ms:
        return False
    return not cursor or history_place(row) < tuple(_place(cursor, (int, str)))


def history_place(row: HistoryRow) -> tuple[int, str]:
    """Where a row stands in history."""
    return row.ended_at_ms, row.execution


def dead_letters(query: DeadLetterQuery, cursor: str, limit: int) -> tuple[str, list[Any]]:
    """SQL and values for a page of dead letters, newest first, one row more than `limit`."""
    wanted = {
        "process = ?": query.process,
        "environment = ?": query.environment,
        "execution = ?": query.execution,
        "error_class = ?": query.error_class,
        "error_code = ?": query.error_code,
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    values: list[Any] = [value for value in wanted.values() if value is not None]
    if cursor:
        conditions.append("(log_index, position) < (?, ?)")
        values.extend(_place(cursor, (int, int)))
    values.append(limit + 1)
    return (
        _DEAD_LETTERS + _where(conditions) + " ORDER BY log_index DESC, position DESC LIMIT ?",
        values,
    )


def is_letter_found(row: DeadLetterRow, query: DeadLetterQuery, cursor: str) -> bool:
    """What the statement of `dead_letters` asks, of a row that is not on disk yet."""
    wanted = (
        (query.process, row.process),
        (query.environment, row.environment),
        (query.execution, row.execution),
        (query.error_class, row.error_class),
        (query.error_code, row.error_code),
    )
    if any(asked not in (None, found) for asked, found in wanted):
        return False
    return not cursor or letter_place(row) < tuple(_place(cursor, (int, int)))


def letter_place(row: DeadLetterRow) -> tuple[int, int]:
    """Where a dead letter stands among all, which is its key."""
    return row.log_index, row.position


def history_row(found: tuple[Any, ...]) -> HistoryRow:
    """A row as the statements above give it."""
    track = tuple((name, value) for name, value in orjson.loads(found[8]))
    execution, process, environment, state, submitted, ended, log_index, body = found[:8]
    return HistoryRow(
        execution, process, environment, state, submitted, ended, log_index, track, body
    )


def history_cursor(row: HistoryRow) -> str:
    """The cursor of the page after this row."""
    return _cursor(*history_place(row))


def dead_letter_cursor(row: DeadLetterRow) -> str:
    """The cursor of the page after this row."""
    return _cursor(*letter_place(row))


def _where(conditions: list[str]) -> str:
    return "WHERE " + " AND ".join(conditions) if conditions else ""


def _cursor(*place: int | str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place(cursor: str, kinds: tuple[type, type]) -> list[int | str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("this is not the cursor of a page") from error
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        raise InvalidInput("this is not the cursor of a page")
    if any(isinstance(part, int) and abs(part) > _INTEGER_MAX for part in place):
        raise InvalidInput("this is not the cursor of a page")
    return place
