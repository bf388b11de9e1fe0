"""Key tables as surfaces read them."""

from collections.abc import Callable, Mapping
from typing import Any

from molecule.cluster import table_views
from molecule.cluster.key_rows import KeyTable, TableName
from molecule.cluster.state import ClusterState
from molecule.model.errors import NotFound
from molecule.node import searches

View = Mapping[str, Any]


class TableReads:
    """Names are `ENVIRONMENT/TABLE`, and `ENVIRONMENT/TABLE/KEY`: only keys may hold a slash."""

    def __init__(self, *, state: Callable[[], ClusterState], page_size_max: int) -> None:
        self._state = state
        self._page_size_max = page_size_max

    async def tables(self, _name: str, query: Mapping[str, str]) -> View:
        """All tables that have rows."""
        items = table_views.tables(self._state(), query.get("environment", ""))
        return {"items": items, "next": None}

    async def rows(self, name: str, query: Mapping[str, str]) -> View:
        """A page of rows; the cursor is the last key of the page before."""
        found = self._table(*name.split("/", 1))
        limit = searches.page_size(query, default=100, maximum=self._page_size_max)
        items, after = table_views.rows(found, after=query.get("cursor", ""), limit=limit)
        return {"items": items, "next": after}

    async def row(self, name: str, _query: Mapping[str, str]) -> View:
        """One row."""
        environment, table, key = name.split("/", 2)
        found = self._table(environment, table).rows.get(key)
        if found is None:
            raise NotFound(f"table {table} of {environment} has no row {key}")
        return {"environment": environment, "table": table, **table_views.row(key, found)}

    def _table(self, environment: str, table: str) -> KeyTable:
        found = self._state().key_tables.get(TableName(environment, table))
        if found is None:
            raise NotFound(f"{environment} has no table {table} with rows; a first row makes it")
        return found
