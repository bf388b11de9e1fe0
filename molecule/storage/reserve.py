"""The reserve of a disk: space that is allocated, and let go when what was accepted needs it.

A file of real blocks, so that neither we nor another program can use it up. All functions block.
What stays true: the file holds nothing, so losing or removing it loses nothing.
"""

import os
from pathlib import Path
from typing import Final

from molecule.config import Headroom
from molecule.model.disk import DiskReport

_STEP_PARTS: Final = 8
"""It grows and shrinks by this part of itself, so that a little need takes a little of it."""
_STEP_BYTES_MIN: Final = 20 * 1024 * 1024
"""A segment of the journal must fit into what one step frees."""


class Reserve:
    """One per data folder; its methods are called by one thread at a time."""

    def __init__(self, folder: Path, settings: Headroom) -> None:
        self._path = folder / "reserve"
        self._settings = settings

    def measure(self) -> DiskReport:
        """The volume now. OSError when it cannot be asked."""
        volume = os.statvfs(self._path.parent)
        free = volume.f_bavail * volume.f_frsize
        # As `df` counts: blocks that only the superuser may use are nobody's here.
        total = free + (volume.f_blocks - volume.f_bfree) * volume.f_frsize
        held = self._held()
        wanted = max(
            total * self._settings.reserve_percent // 100, self._settings.reserve_bytes_min
        )
        return DiskReport(
            total_bytes=total,
            available_bytes=free + held,
            reserve_bytes=wanted,
            reserve_held_bytes=held,
        )

    def keep(self) -> DiskReport:
        """Let go of a part when little else is free, take it back when there is room again."""
        disk = self.measure()
        step = self._step(disk)
        free = disk.available_bytes - disk.reserve_held_bytes
        if free < step // 2 and disk.reserve_held_bytes:
            return self.let_go()
        is_wanted = disk.used_percent >= self._settings.reserve_held_from_percent
        while is_wanted and disk.reserve_held_bytes < disk.reserve_bytes and free >= 3 * step:
            if not self._grow(min(disk.reserve_held_bytes + step, disk.reserve_bytes)):
                break
            disk = self.measure()
            free = disk.available_bytes - disk.reserve_held_bytes
        return disk

    def let_go(self) -> DiskReport:
        """Free one part of it at once, or all when only one is left."""
        disk = self.measure()
        left = disk.reserve_held_bytes - self._step(disk)
        if left > 0:
            os.truncate(self._path, left)
        else:
            self._path.unlink(missing_ok=True)
        return self.measure()

    def _step(self, disk: DiskReport) -> int:
        return max(1, disk.reserve_bytes // _STEP_PARTS, min(disk.reserve_bytes, _STEP_BYTES_MIN))

    def _held(self) -> int:
        try:
            return self._path.stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def _grow(self, size_bytes: int) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            # Somebody else was faster; what is held stays held.
            return False
        finally:
            os.close(descriptor)
        return True
