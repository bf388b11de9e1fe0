"""Deletes the rows of this voter behind the committed horizons, in slices, beside all other work.

Level, not edge: it compares the horizons of the state with the place it swept to, so a restart or a
full disk loses nothing. What stays true: a horizon counts only once the entry that moved it, and so
every end before it, is flushed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from molecule.cluster import retention
from molecule.cluster.changes import EntryResult
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import StorageFull
from molecule.model.retention import RetentionClass
from molecule.storage.rows import Mark

_log = structlog.get_logger()

_PAUSE_S = 0.01
"""Between two slices: flushes and readers come first."""
_LOOK_S = 60.0
_SPARE_PERCENT = 10
"""Free pages of this part of the file are kept for what comes."""


class Store(Protocol):
    """What is asked of the state store."""

    @property
    def mark(self) -> Mark:
        """The place in the log that is on disk."""
        ...

    async def sweep(self, horizons: Mapping[RetentionClass, int], *, limit: int) -> dict[str, int]:
        """Delete one slice; how many executions it was about, by class."""
        ...

    async def shrink(self, *, pages: int, keep_percent: int) -> bool:
        """Give free pages back to the disk; True when more could be given."""
        ...


class Sweeper:
    """One per voter. `entry_applied` wakes it, `run` works."""

    def __init__(
        self,
        *,
        state: Callable[[], ClusterState],
        store: Store,
        is_scarce: Callable[[], bool],
        on_full: Callable[[], None],
        on_purged: Callable[[str, int], None],
        limits: Limits,
    ) -> None:
        self._state = state
        self._store = store
        self._is_scarce = is_scarce
        self._on_full = on_full
        self._on_purged = on_purged
        self._limits = limits
        self._moved = asyncio.Event()
        self._moved.set()
        self._flushed = asyncio.Event()

    def flushed(self) -> None:
        """More of the log is on disk."""
        self._flushed.set()

    def entry_applied(self, result: EntryResult) -> None:
        """A listener of the replica."""
        if result.changes.horizons_moved:
            self._moved.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._moved.wait()
            self._moved.clear()
            try:
                await self.sweep()
            except StorageFull:
                self._on_full()
                await asyncio.sleep(self._limits.storage_full_pause_ms / 1000)
                self._moved.set()

    async def sweep(self) -> int:
        """Delete all that is behind the horizons of now; about how many executions it was."""
        state = self._state()
        index = state.index
        horizons = {name: retention.horizon_ms(state, name) for name in RetentionClass}
        while self._store.mark.index < index:
            self._flushed.clear()
            await self._flushed.wait()
        total = 0
        while swept := await self._store.sweep(
            horizons, limit=self._limits.purge_slice_executions_max
        ):
            for name, count in swept.items():
                total += count
                self._on_purged(name, count)
            await asyncio.sleep(_PAUSE_S)
        keep_percent = 0 if self._is_scarce() else _SPARE_PERCENT
        while True:
            more = await self._store.shrink(
                pages=self._limits.purge_pages_max, keep_percent=keep_percent
            )
            if not more:
                break
            await asyncio.sleep(_PAUSE_S)
        if total:
            _log.info("rows_purged", executions=total)
        return total
