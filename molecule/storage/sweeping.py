"""Deleting rows behind a horizon, one slice at a time, and counting what each class takes.

SQL and values only; the state store carries them out. The place up to which a class was swept is in
`meta`, written with the slice. What must stay true: a slice is swept only up to a horizon whose
entries are all on disk, or rows written later could lie behind the place.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from molecule.model.retention import RetentionClass
from molecule.storage.row_sums import sum_of
from molecule.storage.transaction import Statement


class Unit(NamedTuple):
    """A part of a class that one index can walk: the executions that ended in this state."""

    retention_class: RetentionClass
    state: str = ""
    """Empty: all."""

    @property
    def name(self) -> str:
        """The name of its place in `meta`."""
        return f"swept/{self.retention_class}/{self.state}"


UNITS: Final = (
    Unit(RetentionClass.HISTORY),
    Unit(RetentionClass.COMPLETED_DOCUMENTS, "COMPLETED"),
    Unit(RetentionClass.FAILED_DOCUMENTS, "FAILED"),
    Unit(RetentionClass.FAILED_DOCUMENTS, "CANCELLED"),
    Unit(RetentionClass.TIMELINES),
)
"""History first: with it the rest of an execution goes."""

_BY_END: Final = (
    "SELECT execution, ended_at_ms FROM history WHERE ended_at_ms < ? "
    "AND (ended_at_ms, execution) > (?, ?) ORDER BY ended_at_ms, execution LIMIT ?"
)
_BY_STATE: Final = (
    "SELECT execution, ended_at_ms FROM history WHERE state = ? AND ended_at_ms < ? "
    "AND (ended_at_ms, execution) > (?, ?) ORDER BY ended_at_ms, execution LIMIT ?"
)
_TIMELINE: Final = "DELETE FROM timeline WHERE execution = ?"
_PAYLOADS: Final = "DELETE FROM payloads WHERE execution = ?"
_DELETES: Final[dict[RetentionClass, tuple[str, ...]]] = {
    RetentionClass.HISTORY: (
        _TIMELINE,
        _PAYLOADS,
        "DELETE FROM history_track WHERE execution = ?",
        "DELETE FROM history WHERE execution = ?",
    ),
    RetentionClass.COMPLETED_DOCUMENTS: (_PAYLOADS,),
    RetentionClass.FAILED_DOCUMENTS: (_PAYLOADS,),
    RetentionClass.TIMELINES: (_TIMELINE,),
}
PLACE: Final = "SELECT value FROM meta WHERE name = ?"
_PUT_PLACE: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


def place(kept: str) -> tuple[str, int | None]:
    """The place that is kept in `meta`, and its sum; None: it is from before there were sums."""
    found, _, told = kept.rpartition("/")
    # An execution has no slash in its name, so the old form has one and this one two.
    return (found, int(told, 16)) if "/" in found else (kept, None)


def _kept(unit: Unit, at_ms: int, execution: str) -> str:
    text = f"{at_ms}/{execution}"
    return f"{text}/{sum_of((unit.name, text)):08x}"


def chosen(unit: Unit, *, before_ms: int, place: str, limit: int) -> tuple[str, list[Any]]:
    """The next executions of a unit behind its place, oldest first."""
    at_ms, _, execution = place.partition("/")
    behind = [before_ms, int(at_ms or -1), execution, limit]
    return (_BY_STATE, [unit.state, *behind]) if unit.state else (_BY_END, behind)


def deletes(unit: Unit, found: Sequence[tuple[str, int]]) -> list[Statement]:
    """The statements of the transaction that sweeps them, the new place last."""
    names = [(execution,) for execution, _ in found]
    last, at_ms = found[-1]
    return [
        *(Statement(sql, names) for sql in _DELETES[unit.retention_class]),
        Statement(_PUT_PLACE, [(unit.name, _kept(unit, at_ms, last))]),
    ]


class Usage(NamedTuple):
    """What a class takes in the state store, documents by their full size."""

    name: str
    """A retention class, `live_documents` or `dead_letters`."""
    rows: int
    size_bytes: int


USAGE: Final = """
SELECT CASE WHEN h.state = 'COMPLETED' THEN 'completed_documents'
            WHEN h.state IS NULL THEN 'live_documents' ELSE 'failed_documents' END AS class,
       count(*), sum(p.size_bytes)
FROM payloads AS p LEFT JOIN history AS h ON h.execution = p.execution GROUP BY class
UNION ALL SELECT 'timelines', count(*), coalesce(sum(length(body)), 0) + 64 * count(*) FROM timeline
UNION ALL SELECT 'history', count(*), coalesce(sum(length(body)), 0) + 128 * count(*) FROM history
UNION ALL SELECT 'dead_letters', count(*), coalesce(sum(size_bytes), 0) + 128 * count(*)
          FROM dead_letters
"""

_OLDEST_BY_END: Final = (
    "SELECT max(ended_at_ms) FROM (SELECT ended_at_ms FROM history WHERE ended_at_ms >= ? "
    "AND ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?)"
)
_OLDEST_BY_STATES: Final = (
    "SELECT max(ended_at_ms) FROM (SELECT ended_at_ms FROM history WHERE state IN (?, ?) "
    "AND ended_at_ms >= ? AND ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?)"
)
_STATES: Final = {
    RetentionClass.COMPLETED_DOCUMENTS: ("COMPLETED", "COMPLETED"),
    RetentionClass.FAILED_DOCUMENTS: ("FAILED", "CANCELLED"),
}


def oldest(
    name: RetentionClass, *, from_ms: int, before_ms: int, count: int
) -> tuple[str, list[Any]]:
    """When the last of the `count` oldest of a class ended, within these instants."""
    behind = [from_ms, before_ms, count]
    states = _STATES.get(name)
    return (_OLDEST_BY_STATES, [*states, *behind]) if states else (_OLDEST_BY_END, behind)


def ended_count(name: RetentionClass, *, from_ms: int, before_ms: int) -> tuple[str, list[Any]]:
    """How many executions of a class ended within these instants."""
    sql = "SELECT count(*) FROM history WHERE ended_at_ms >= ? AND ended_at_ms < ?"
    states = _STATES.get(name)
    if states is None:
        return sql, [from_ms, before_ms]
    return sql + " AND state IN (?, ?)", [from_ms, before_ms, *states]
