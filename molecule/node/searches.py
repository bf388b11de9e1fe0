"""Searches over executions: those in memory first, then ended ones from history, newest first.

Pure over the state and rows it is handed. A cursor names the place where the page before ended, so
a page never repeats a row, whatever was accepted in between.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from molecule.cluster import views
from molecule.cluster.state import ClusterState, Execution
from molecule.model.errors import InvalidInput
from molecule.model.execution import TERMINAL, ExecutionState
from molecule.model.ids import IdempotencyKey
from molecule.storage.rows import HistoryQuery

_ACTIVE: Final = "active:"
_ENDED: Final = "ended:"


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; empty fields match all."""

    process: str
    environment: str
    key: str
    states: frozenset[ExecutionState]
    track: tuple[str, str] | None
    since_ms: int
    until_ms: int
    limit: int
    cursor: str

    @property
    def looks_in_memory(self) -> bool:
        """False when only ended executions can match, or the page before was past the others."""
        if self.cursor.startswith(_ENDED):
            return False
        return not self.states or bool(self.states - TERMINAL)

    @property
    def looks_in_history(self) -> bool:
        """False when only executions that go on can match."""
        return not self.states or bool(self.states & TERMINAL)

    @property
    def history_cursor(self) -> str:
        """The store's own cursor inside this one."""
        return self.cursor.removeprefix(_ENDED) if self.cursor.startswith(_ENDED) else ""

    def history_query(self, state: str | None) -> HistoryQuery:
        """The same search for the store, for one terminal state or all."""
        return HistoryQuery(
            process=self.process or None,
            state=state,
            environment=self.environment or None,
            track=self.track,
            ended_from_ms=self.since_ms or None,
            ended_to_ms=self.until_ms or None,
        )


def parsed(query: Mapping[str, str], *, page_size_max: int) -> Search:
    """A search from the parameters of a read. Raises `InvalidInput` for a cursor that is none."""
    track = None
    for name, value in query.items():
        if name.startswith("track."):
            if track is not None:
                raise InvalidInput("search by one business key at a time")
            track = (name.removeprefix("track."), value)
    cursor = query.get("cursor", "")
    if cursor and not cursor.startswith((_ACTIVE, _ENDED)):
        raise InvalidInput("cursor must be the `next` of the page before")
    return Search(
        process=query.get("process", ""),
        environment=query.get("environment", ""),
        key=query.get("key", ""),
        states=frozenset(
            ExecutionState(name) for name in query.get("state", "").split(",") if name
        ),
        track=track,
        since_ms=int(query.get("since", "0")),
        until_ms=int(query.get("until", "0")),
        limit=min(int(query.get("limit", "100")), page_size_max),
        cursor=cursor,
    )


def in_memory(state: ClusterState, search: Search) -> tuple[list[dict[str, Any]], str]:
    """The page of executions that go on, newest first, and the cursor of the next page or empty."""
    if not search.looks_in_memory:
        return [], search.cursor
    found = list(islice(_matching(state, search), search.limit + 1))
    page = [views.execution(state, execution) for execution in found[: search.limit]]
    if len(found) > search.limit:
        return page, f"{_ACTIVE}{found[search.limit - 1].accepted_serial}"
    return page, _ENDED if search.looks_in_history else ""


def ended_cursor(cursor: str) -> str:
    """The cursor of the next page of history, from the store's own."""
    return f"{_ENDED}{cursor}" if cursor else ""


def _matching(state: ClusterState, search: Search) -> Iterator[Execution]:
    below = int(search.cursor.removeprefix(_ACTIVE)) if search.cursor else 0
    if search.key:
        execution_id = state.keys.get(IdempotencyKey(search.key))
        named = state.executions.get(execution_id) if execution_id is not None else None
        candidates: Iterator[Execution] = iter([named] if named is not None else [])
    else:
        candidates = reversed(state.executions.values())
    for execution in candidates:
        if below and execution.accepted_serial >= below:
            continue
        if _matches(execution, search):
            yield execution


def _matches(execution: Execution, search: Search) -> bool:
    return (
        (not search.process or execution.process == search.process)
        and (not search.environment or execution.environment == search.environment)
        and (not search.states or execution.state in search.states)
        and (search.track is None or search.track in execution.track)
        and (not search.since_ms or execution.accepted_at_ms >= search.since_ms)
        and (not search.until_ms or execution.accepted_at_ms < search.until_ms)
    )
