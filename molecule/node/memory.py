"""What the kernel tells of the memory of processes: from `/proc`, and 0 where it tells nothing."""

import os
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_KILLS: Final = b"\noom_kill "


def resident_bytes(pid: int) -> int:
    """Memory of a process that is not swapped out; 0 when it has ended or cannot be looked at."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


class KernelKills:
    """How often the kernel ended processes of this machine because there was no memory left."""

    def __init__(self) -> None:
        self._known = self._former = _count()

    def note_kills(self) -> None:
        """Look from time to time, so that an old kill explains no later death."""
        self._former, self._known = self._known, _count()

    def kernel_killed(self) -> bool:
        """True when it has ended one since the look before the last one."""
        return _count() > self._former


def _count() -> int:
    try:
        with open("/proc/vmstat", "rb") as file:  # noqa: PTH123
            told = file.read()
        place = told.find(_KILLS)
        return int(told[place + len(_KILLS) :].split(maxsplit=1)[0]) if place >= 0 else 0
    except (OSError, ValueError):
        return 0
