"""The disk of a node: measured again and again, reported to the leader, and asked at the door.

The leader tells with each heartbeat how the fullest voter stands; the worse of that and of this
node's own disk counts here. What stays true: only submissions are refused; words of workers, what
people resolve, purge and membership never are.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from molecule.config import Headroom
from molecule.model.disk import DiskReport, Level
from molecule.model.errors import StorageFull
from molecule.model.ids import NodeId
from molecule.scheduler import headroom
from molecule.storage.reserve import Reserve
from molecule.wire.v1 import peer_pb2 as p

_log = structlog.get_logger()

Heard = Callable[[], tuple[int, str]]
"""The level that the leader told last, and the node that has it."""


class Room:
    """One per node process."""

    def __init__(
        self,
        *,
        node: str,
        reserve: Reserve,
        settings: Headroom,
        heard: Heard,
        on_refused: Callable[[str, str], None],
        on_alarm: Callable[[], None],
    ) -> None:
        self.node = NodeId(node)
        self._reserve = reserve
        self._settings = settings
        self._heard = heard
        self._on_refused = on_refused
        self._on_alarm = on_alarm
        self._is_full = asyncio.Event()
        self._alarmed = Level.ROOMY
        self.disk: DiskReport | None = None
        """As measured last; None while it cannot be."""
        # Known before the first heartbeat: a report that is missing counts as a full disk.
        with contextlib.suppress(OSError):
            self.disk = reserve.measure()

    async def run(self) -> None:
        """Measure and keep the reserve until cancelled; at once when somebody met a full disk."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.measure_every_ms / 1000):
                    await self._is_full.wait()
            let_go = self._is_full.is_set()
            self._is_full.clear()
            await self.measure(let_go=let_go)

    async def measure(self, *, let_go: bool) -> None:
        """Once: look at the disk, keep the reserve or let go of some of it, alarm if need be."""
        work = self._reserve.let_go if let_go else self._reserve.keep
        try:
            self.disk = await asyncio.to_thread(work)
        except OSError as error:
            self.disk = None
            _log.error("disk_not_measured", reason=str(error))
        self._alarm()

    def on_full(self) -> None:
        """Something that was accepted found no room: let go of a part of the reserve."""
        self._is_full.set()

    def beat(self) -> p.Heartbeat.Disk | None:
        """For the next heartbeat."""
        disk = self.disk
        if disk is None:
            return None
        return p.Heartbeat.Disk(
            total_bytes=disk.total_bytes,
            available_bytes=disk.available_bytes,
            reserve_bytes=disk.reserve_bytes,
            reserve_held_bytes=disk.reserve_held_bytes,
        )

    def admission(self) -> headroom.Admission:
        """The worse of what the leader told and of this node's own disk."""
        told, node = self._heard()
        own = Level.ROOMY
        if self.disk is not None:
            own = headroom.level(self.disk, self._settings)
        if own >= told:
            return headroom.Admission(own, self.node)
        return headroom.Admission(Level(min(told, max(Level))), NodeId(node))

    @property
    def is_scarce(self) -> bool:
        """True from the level on at which purge runs early."""
        return self.admission().level >= Level.PURGE_EARLY

    def check(self, *, brings_documents: bool, door: str) -> None:
        """Raise `StorageFull` when a submission may not enter."""
        level, node = self.admission()
        refused_at = Level.NO_DOCUMENTS if brings_documents else Level.NO_SUBMISSIONS
        if level < refused_at:
            return
        limit = headroom.LIMITS[level]
        self._on_refused(limit, door)
        only = level < Level.NO_SUBMISSIONS
        what = "no submission that brings documents is" if only else "nothing new is"
        raise StorageFull(
            f"the disk of node {node} is over {limit} ({getattr(self._settings, limit)} %): {what}"
            " accepted until there is room; purge, or give it more disk",
            limit=limit,
            node=node,
        )

    def _alarm(self) -> None:
        level, node = self.admission()
        if level > self._alarmed:
            self._on_alarm()
        if level != self._alarmed:
            # Not `level`: a line of the log has one of its own.
            tell = _log.warning if level > self._alarmed else _log.info
            tell("disk_level", now=level.name.lower(), before=self._alarmed.name.lower(), node=node)
            self._alarmed = level
