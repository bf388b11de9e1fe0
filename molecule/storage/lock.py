"""One process at a time in a folder.

The lock is the kernel's (`flock`), so it ends with the process however that dies; the file's text
only tells people who holds it. A lock file that lies around means nothing.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from molecule.model.errors import DamagedData


class FolderLock:
    """The right to use a folder alone, from `take` to `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, folder: Path, name: str = "LOCK") -> Self:
        """The lock, at once; `DamagedData` names the process that has it or what is wrong."""
        path = folder / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DamagedData(
                f"{folder} cannot be used: {error.strerror}; it must be a folder that this user "
                f"may write to, on a disk that is not mounted read-only",
                path=str(folder),
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise DamagedData(
                f"{folder} is in use by process {holder}; stop it first, or give this node a data "
                f"folder of its own",
                path=str(folder),
                holder=holder,
            ) from error
        # The text is for people: the lock holds even when it cannot be written, on a full disk say.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Give it back; again changes nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
