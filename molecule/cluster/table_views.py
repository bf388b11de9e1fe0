"""Key tables as people see them. Pure; rows come in the order of their keys, page by page."""

import heapq
import json
from collections.abc import Mapping
from typing import Any

from molecule.cluster.key_rows import KeyRow, KeyTable, TableName
from molecule.cluster.state import ClusterState

View = Mapping[str, Any]


def tables(state: ClusterState, environment: str) -> list[View]:
    """Every table that has rows; all environments when none is named."""
    return [
        table(name, state.key_tables[name])
        for name in sorted(state.key_tables)
        if environment in ("", name.environment)
    ]


def table(name: TableName, known: KeyTable) -> View:
    """One table in numbers."""
    return {
        "environment": name.environment,
        "table": name.table,
        "rows": len(known.rows),
        "unique": sorted({unique for unique, _ in known.found_by}),
    }


def rows(known: KeyTable, *, after: str, limit: int) -> tuple[list[View], str | None]:
    """Up to `limit` rows behind the key `after`, and the key that the next page begins behind."""
    keys = heapq.nsmallest(limit + 1, (key for key in known.rows if key > after))
    page = keys[:limit]
    return [row(key, known.rows[key]) for key in page], page[-1] if len(keys) > limit else None


def row(key: str, known: KeyRow) -> View:
    """One row with its value."""
    return {
        "key": key,
        "value": json.loads(known.value),
        "unique": dict(known.unique),
        "changed_at_ms": known.changed_at_ms,
    }
