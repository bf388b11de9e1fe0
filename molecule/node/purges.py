"""What the leader purges: horizons from ages, sizes and the need for room, committed in slices.

It decides and proposes; apply takes back references, each voter's `sweeper.py` deletes rows. What
stays true: a horizon moves only over what is there, so an idle cluster writes nothing to its log.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from molecule.cluster import retention
from molecule.cluster.outcome import Applied, Outcome
from molecule.cluster.state import ClusterState
from molecule.config import Limits, Retention
from molecule.model.disk import Level
from molecule.model.errors import MoleculeError, OutcomeUnknown
from molecule.model.retention import DOCUMENT_CLASSES, RetentionClass
from molecule.storage.sweeping import Usage
from molecule.wire.v1 import commands_pb2 as c

_log = structlog.get_logger()

EARLY: Final = (
    RetentionClass.COMPLETED_DOCUMENTS,
    RetentionClass.FAILED_DOCUMENTS,
    RetentionClass.TIMELINES,
)
"""What an early purge may take, in this order; history is small and is kept its whole time."""
_TENTH: Final = 10
"""A class that is too large loses so much of itself in one round."""

Horizons = dict[RetentionClass, int]
Propose = Callable[[Sequence[c.Command]], Awaitable[Sequence[Outcome]]]


class Store(Protocol):
    """What is asked of the leader's own state store."""

    async def oldest(
        self, name: RetentionClass, *, from_ms: int, before_ms: int, count: int
    ) -> int | None:
        """When the last of the `count` oldest ended within these instants."""
        ...

    async def usage(self) -> Sequence[Usage]:
        """What each class takes."""
        ...


class Purges:
    """One per node process, at work while it leads."""

    def __init__(
        self,
        *,
        state: Callable[[], ClusterState],
        store: Store,
        propose: Propose,
        now_ms: Callable[[], int],
        settings: Retention,
        limits: Limits,
    ) -> None:
        self._state = state
        self._store = store
        self._propose = propose
        self._now_ms = now_ms
        self._settings = settings
        self._limits = limits
        self.usage: Sequence[Usage] = ()
        """What the classes take here, as measured last."""

    async def measure(self) -> None:
        """Count what each class takes on this node, for ever."""
        while True:
            self.usage = await self._store.usage()
            await asyncio.sleep(self._settings.measure_every_ms / 1000)

    async def lead(self, epoch: int, *, level: Callable[[], Level]) -> None:
        """Purge until cancelled: every `every_ms`, each second while the room is scarce."""
        while True:
            is_scarce = level() >= Level.PURGE_EARLY
            pause_ms = min(1_000, self._settings.every_ms) if is_scarce else self._settings.every_ms
            await asyncio.sleep(pause_ms / 1000)
            try:
                horizons = await self.due(level())
                if horizons or self._has_left():
                    await self.carry_out(c.PurgeEnded(epoch=epoch), horizons)
            except MoleculeError as error:
                # No leader any more, or a full disk: the next round begins anew.
                _log.info("purge_put_off", reason=error.message)

    async def due(self, level: Level) -> Horizons:
        """The horizons that would move now, each with something behind it."""
        now_ms, settings = self._now_ms(), self._settings
        wanted = {name: now_ms - settings.kept_ms(name) for name in RetentionClass}
        for used in self.usage:
            with contextlib.suppress(ValueError):
                name = RetentionClass(used.name)
                if used.size_bytes > settings.bytes_max(name):
                    await self._reach(wanted, name, now_ms, max(1, used.rows // _TENTH))
        if level >= Level.PURGE_EARLY:
            before_ms = now_ms - settings.early_floor_ms
            for name in EARLY:
                count = self._limits.purge_command_executions_max
                if await self._reach(wanted, name, before_ms, count):
                    break
        moved: Horizons = {}
        for name, before_ms in wanted.items():
            from_ms = retention.horizon_ms(self._state(), name)
            if before_ms > from_ms and await self._oldest(name, from_ms, before_ms, 1) is not None:
                moved[name] = before_ms
        return moved

    async def carry_out(self, command: c.PurgeEnded, horizons: Horizons) -> int:
        """Propose until nothing is left behind the horizons; how many executions lost documents.

        No error is definite once the first part of it committed.
        """
        command.slice_max = self._limits.purge_command_executions_max
        for name, before_ms in horizons.items():
            command.horizons.add(retention_class=name.value, before_ms=before_ms)
        released = 0
        has_begun = False
        while True:
            try:
                (outcome,) = await self._propose([c.Command(version=1, purge_ended=command)])
            except MoleculeError as error:
                if not has_begun:
                    raise
                raise OutcomeUnknown(f"a part of it is purged; then: {error.message}") from error
            has_begun = True
            if not isinstance(outcome, Applied):
                return released
            released += outcome.value
            if not outcome.facts.get("left"):
                _log.info(
                    "purged", documents_of=released, **{str(n): t for n, t in horizons.items()}
                )
                return released

    async def _reach(
        self, wanted: Horizons, name: RetentionClass, before_ms: int, count: int
    ) -> bool:
        """Let the horizon reach over so many of the oldest; False when there is none."""
        from_ms = retention.horizon_ms(self._state(), name)
        at_ms = await self._oldest(name, from_ms, before_ms, count)
        if at_ms is None:
            return False
        wanted[name] = max(wanted[name], at_ms + 1)
        return True

    async def _oldest(
        self, name: RetentionClass, from_ms: int, before_ms: int, count: int
    ) -> int | None:
        return await self._store.oldest(name, from_ms=from_ms, before_ms=before_ms, count=count)

    def _has_left(self) -> bool:
        state = self._state()
        return any(retention.is_behind(state, name) for name in DOCUMENT_CLASSES)
