"""Key tables: what a change would come to, and making it.

Who may say it is told by `apply_tables.py`. What stays true: a key, and a value of a unique key,
belongs to one row at most; rows and bytes stay within their bounds.
"""

from collections.abc import Mapping
from typing import Final

from molecule.cluster.changes import Changes
from molecule.cluster.key_rows import KeyRow, KeyTable, TableName
from molecule.cluster.outcome import Rejected
from molecule.cluster.row_parts import joined
from molecule.cluster.state import ClusterState
from molecule.wire.v1 import commands_pb2 as wire

DONE: Final = "done"
CONFLICT: Final = "conflict"
"""The row is not as the condition says."""
TAKEN: Final = "taken"
"""A value of a unique key belongs to another row."""
MISSING: Final = "missing"

_ACTIONS: Final = ("get", "put", "delete")
_CONDITIONS: Final = ("", "absent", "present", "equals")


def refusal(
    state: ClusterState, name: TableName, change: wire.TableChange, *, may_read: bool
) -> Rejected | None:
    """Why the change is none at all, or would leave the bounds; whatever its condition says."""
    if change.action not in _ACTIONS or (change.action == "get" and not may_read):
        return Rejected("invalid", {"field": "action"})
    for field, is_bad in (
        ("table", not name.table),
        ("key", not change.key),
        ("if", change.condition not in _CONDITIONS),
        ("value", change.action == "put" and not change.value),
    ):
        if is_bad:
            return Rejected("invalid", {"field": field})
    return _beyond(state, name, change) if change.action == "put" else None


def _beyond(state: ClusterState, name: TableName, change: wire.TableChange) -> Rejected | None:
    bounds = state.bounds
    size_bytes = _row(state, change).size_bytes(change.key)
    if size_bytes > bounds.table_row_bytes_max:
        return Rejected("limit", {"limit": "table_row_bytes_max"})
    table = state.key_tables.get(name)
    known = table.rows.get(change.key) if table is not None else None
    if known is None and table is not None and len(table.rows) >= bounds.table_rows_max:
        return Rejected("limit", {"limit": "table_rows_max"})
    more = size_bytes - (known.size_bytes(change.key) if known is not None else 0)
    if state.tables_bytes.get(name.environment, 0) + more > bounds.tables_bytes_max:
        return Rejected("limit", {"limit": "tables_bytes_max"})
    return None


def found(state: ClusterState, name: TableName, change: wire.TableChange) -> KeyRow | None:
    """The row that a get asks for."""
    table = state.key_tables.get(name)
    if table is None:
        return None
    key = table.found_by.get((change.by, change.key)) if change.by else change.key
    return table.rows.get(key) if key is not None else None


def verdict(state: ClusterState, name: TableName, change: wire.TableChange) -> tuple[str, str]:
    """What a put or delete would come to now: `done`, `conflict` or `taken`, with a detail."""
    table = state.key_tables.get(name) or KeyTable()
    row = table.rows.get(change.key)
    holds: Mapping[str, bool] = {
        "": True,
        "absent": row is None,
        "present": row is not None,
        "equals": row is not None and row.value == change.expected,
    }
    if not holds[change.condition]:
        return CONFLICT, "there is a row" if row is not None else "there is no row"
    if change.action == "put":
        for pair in sorted(change.unique.items()):
            if table.found_by.get(pair, change.key) != change.key:
                return TAKEN, f"{pair[0]} belongs to another row"
    return DONE, ""


def make(state: ClusterState, name: TableName, change: wire.TableChange, changes: Changes) -> None:
    """Carry out a put or delete that was found to be done."""
    changes.dirty.mark("key_tables", joined((*name, change.key)))
    table = state.key_tables.get(name)
    if table is not None:
        _take_out(state, name, table, change.key)
    if change.action == "put":
        put(state, name, change.key, _row(state, change))
    elif table is not None and not table.rows:
        del state.key_tables[name]


def put(state: ClusterState, name: TableName, key: str, row: KeyRow) -> None:
    """Put a row where none is, with its indexes."""
    table = state.key_tables.setdefault(name, KeyTable())
    table.rows[key] = row
    table.found_by.update(dict.fromkeys(row.unique, key))
    count = state.tables_bytes.get(name.environment, 0)
    state.tables_bytes[name.environment] = count + row.size_bytes(key)


def facts_of(row: KeyRow | None) -> Mapping[str, str]:
    """What the answer to a get says."""
    if row is None:
        return {"answer": MISSING}
    return {"answer": DONE, "value": row.value}


def _take_out(state: ClusterState, name: TableName, table: KeyTable, key: str) -> None:
    row = table.rows.pop(key, None)
    if row is None:
        return
    for pair in row.unique:
        del table.found_by[pair]
    state.tables_bytes[name.environment] -= row.size_bytes(key)
    if not state.tables_bytes[name.environment]:
        del state.tables_bytes[name.environment]


def _row(state: ClusterState, change: wire.TableChange) -> KeyRow:
    return KeyRow(change.value, tuple(sorted(change.unique.items())), state.time_ms)
