"""A memory limit for one worker, kept by the kernel: a control group, of version 2 or 1.

The supervisor makes one for each worker; the agent decides how much a worker may have, and looks at
it from time to time, too. Standard library only. What stays true: where the kernel or our rights do
not allow a group, everything works without it, and nothing raises.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")


class MemoryGroup:
    """The group of one worker. `None` from `make` means: not here."""

    def __init__(self, folder: Path, *, events: str) -> None:
        self._folder = folder
        self._events = events

    @classmethod
    def make(cls, name: str, *, bytes_max: int, mount: Path = _MOUNT) -> "MemoryGroup | None":
        """A new group below this process's own, for at most so many bytes."""
        for parent, limit, events in _places(mount):
            group = cls(parent / f"molecule-{os.getpid()}-{name}", events=events)
            with contextlib.suppress(OSError):
                group._folder.mkdir()
            if group._set(limit, str(bytes_max)):
                # Without it a worker at its limit would crawl instead of ending.
                group._set("memory.swap.max", "0")
                return group
            group.remove()
        return None

    def add(self, pid: int) -> None:
        """Count what this process takes from now on."""
        self._set("cgroup.procs", str(pid))

    def out_of_memory(self) -> bool:
        """True when the kernel ended a process here because of the limit."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (self._folder / self._events).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def remove(self) -> None:
        """Give it back, once its process has ended."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _set(self, file: str, value: str) -> bool:
        try:
            # Never created: a plain file in a folder that is no group would be no limit.
            with (self._folder / file).open("r+", encoding="ascii") as opened:
                opened.write(value)
        except OSError:
            return False
        return True


def _places(mount: Path) -> Iterator[tuple[Path, str, str]]:
    """Where a group could be made: parent folder, file of the limit, file of the kills."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        below = path.lstrip("/")
        if not controllers:
            yield mount / below, "memory.max", "memory.events"
        elif "memory" in controllers.split(","):
            yield mount / "memory" / below, "memory.limit_in_bytes", "memory.oom_control"
