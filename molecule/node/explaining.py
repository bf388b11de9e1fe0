"""Reads what `why` needs of this voter and hands it to the pure part.

Nothing is kept for it: the state, timelines and history that every voter has are all it reads.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from molecule.cluster import losses, views, volatile_views
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import NotFound
from molecule.scheduler import standing, why
from molecule.storage.rows import TimelineRow
from molecule.storage.state_store import StateStore

View = Mapping[str, Any]


class Explaining:
    """Built by `Reads`; `execution` gives an execution as surfaces show it, or `NotFound`."""

    def __init__(
        self,
        *,
        state: Callable[[], ClusterState],
        store: StateStore,
        execution: Callable[[str, Mapping[str, str]], Awaitable[View]],
        limits: Limits,
        leader: Callable[[], str | None],
    ) -> None:
        self._leader = leader
        self._state = state
        self._store = store
        self._execution = execution
        self._limits = limits

    async def why(self, name: str, _query: Mapping[str, str]) -> View:
        """All answers for one execution."""
        view = await self._execution(name, {})
        if volatile_views.is_id(name):
            row = await self._store.history_one(name)
            return volatile_views.why(view, index=row.log_index if row is not None else 0)
        # The lines are read behind the view, so that they hold every decision it came from.
        lines = await self._lines(name)
        blockers: dict[str, standing.Decided] = {
            holder: await self._decision_of(holder)
            for holder in standing.holders(self._state(), name)
        }
        leader = self._leader() or ""
        return why.explain(view, lines, self._state(), blockers=blockers, leader=leader)

    async def postmortems(self, _name: str, _query: Mapping[str, str]) -> View:
        """Lost nodes, the newest first."""
        return {"items": views.postmortems(self._state()), "next": None}

    async def postmortem(self, name: str, _query: Mapping[str, str]) -> View:
        """What one loss was known by and what it cost."""
        loss = self._state().losses.get(name)
        if loss is None:
            raise NotFound(
                f"there is no post-mortem {name}; ids are NODE.INCARNATION, and the newest "
                f"{losses.LOSSES_MAX} are kept"
            )
        return views.postmortem(loss)

    async def _lines(self, name: str) -> list[View]:
        """The whole timeline: it is bounded for each execution."""
        lines: list[View] = []
        after = (0, -1)
        size = self._limits.page_size_max
        while True:
            rows = await self._store.timeline(name, after=after, limit=size)
            lines += [line(row) for row in rows]
            if len(rows) < size:
                return lines
            after = (rows[-1].log_index, rows[-1].position)

    async def _decision_of(self, holder: str) -> standing.Decided:
        """Where the log says that `holder` has what others wait for: its end, or its acceptance."""
        ended = await self._store.history_one(holder)
        if ended is not None:
            return ended.log_index, ended.ended_at_ms
        rows = await self._store.timeline(holder, limit=1)
        return (rows[0].log_index, rows[0].at_ms) if rows else (0, 0)


def line(row: TimelineRow) -> View:
    """A line of a timeline as surfaces show it."""
    return {
        "index": row.log_index,
        "number": row.position,
        "at_ms": row.at_ms,
        "kind": row.event,
        **orjson.loads(row.body),
    }
