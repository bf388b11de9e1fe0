"""Searches over executions: those in memory first, then ended ones from history, newest first.

Pure over the state and rows it is handed. A cursor names the place where the page before ended, so
a page never repeats a row, whatever was accepted in between.
"""

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from molecule.cluster import views
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
)
from molecule.model.errors import InvalidInput
from molecule.model.execution import PARKED, TERMINAL, ExecutionState
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

    @property
    def history_query(self) -> HistoryQuery:
        """The same search for the store."""
        terminal = sorted(self.states & TERMINAL)
        return HistoryQuery(
            process=self.process or None,
            state=terminal[0].value if len(terminal) == 1 else None,
            environment=self.environment or None,
            track=self.track,
            ended_from_ms=self.since_ms or None,
            ended_to_ms=self.until_ms or None,
        )


def parsed(query: Mapping[str, str], *, page_size_max: int) -> Search:
    """A search from the parameters of a read. Raises `InvalidInput`, naming what cannot be read."""
    track = None
    for name, value in query.items():
        if name.startswith("track."):
            if track is not None:
                raise InvalidInput("search by one business key at a time")
            track = (name.removeprefix("track."), value)
    cursor = query.get("cursor", "")
    is_active = cursor.startswith(_ACTIVE) and cursor.removeprefix(_ACTIVE).isdecimal()
    if cursor and not is_active and not cursor.startswith(_ENDED):
        raise InvalidInput("cursor must be the `next` of the page before", field="cursor")
    states = _states(query.get("state", ""))
    if 1 < len(states & TERMINAL) < len(TERMINAL):
        raise InvalidInput("search for one terminal state at a time, or for all", field="state")
    return Search(
        process=query.get("process", ""),
        environment=query.get("environment", ""),
        key=query.get("key", ""),
        states=states,
        track=track,
        since_ms=number(query, "since", default=0),
        until_ms=number(query, "until", default=0),
        limit=page_size(query, default=100, maximum=page_size_max),
        cursor=cursor,
    )


def number(query: Mapping[str, str], name: str, *, default: int) -> int:
    """A parameter that counts something, from 0 on. `InvalidInput` for anything else."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise InvalidInput(f"{name} must be a whole number", field=name)
    return int(text)


def page_size(query: Mapping[str, str], *, default: int, maximum: int) -> int:
    """How many items the page shall have: what was asked for, from 1 to the maximum."""
    return max(1, min(number(query, "limit", default=default), maximum))


def _states(names: str) -> frozenset[ExecutionState]:
    try:
        return frozenset(ExecutionState(name) for name in names.split(",") if name)
    except ValueError:
        raise InvalidInput(f"{names} names a state that there is not", field="state") from None


class Scan:
    """One search through the executions that go on, as they were when it began, in slices.

    Whoever `look`s lets the loop turn between two slices: a backlog may be deep. What ended
    meanwhile is left out; history tells it.
    """

    def __init__(self, state: ClusterState, search: Search) -> None:
        self._state = state
        self._search = search
        self._candidates = _candidates(state, search)
        self._place = 0
        self._found: list[Execution] = []

    def look(self, count: int) -> bool:
        """Look at so many more; True when the page is known."""
        known, wanted = self._state.executions, self._search.limit + 1
        for execution in self._candidates[self._place : self._place + count]:
            if execution.id in known and _matches(execution, self._search):
                self._found.append(execution)
                if len(self._found) == wanted:
                    return True
        self._place += count
        return self._place >= len(self._candidates)

    def page(self) -> tuple[list[dict[str, Any]], str]:
        """What was found, newest first, and the cursor of the next page or empty."""
        search, found = self._search, self._found
        if not search.looks_in_memory:
            return [], search.cursor
        page = [views.execution(self._state, execution) for execution in found[: search.limit]]
        if len(found) > search.limit:
            return page, f"{_ACTIVE}{found[search.limit - 1].accepted_serial}"
        return page, _ENDED if search.looks_in_history else ""


def ended_cursor(cursor: str) -> str:
    """The cursor of the next page of history, from the store's own."""
    return f"{_ENDED}{cursor}" if cursor else ""


def _candidates(state: ClusterState, search: Search) -> Sequence[Execution]:
    """What can be on the page, the newest first."""
    if not search.looks_in_memory:
        return []
    if search.key:
        execution_id = state.keys.get(IdempotencyKey(search.key))
        named = state.executions.get(execution_id) if execution_id is not None else None
        return [named] if named is not None else []
    if search.states and search.states <= PARKED:
        parked = [state.executions[execution_id] for execution_id in state.parked]
        found = sorted(parked, key=_newest_first)
    else:
        found = list(reversed(state.executions.values()))
    if not search.cursor:
        return found
    below = int(search.cursor.removeprefix(_ACTIVE))
    return found[bisect.bisect_right(found, -below, key=_newest_first) :]


def _newest_first(execution: Execution) -> int:
    return -execution.accepted_serial


def _matches(execution: Execution, search: Search) -> bool:
    return (
        (not search.process or execution.process == search.process)
        and (not search.environment or execution.environment == search.environment)
        and (not search.states or execution.state in search.states)
        and (search.track is None or search.track in execution.track)
        and (not search.since_ms or execution.accepted_at_ms >= search.since_ms)
        and (not search.until_ms or execution.accepted_at_ms < search.until_ms)
    )
