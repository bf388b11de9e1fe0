"""The journal's folder on a real disk.

Implements `ports.Files`; used by the driver's threads, one thread for each file at a time. A
segment appears under its name only when it is complete, and every name is durable before it is
relied on.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 1024 * 1024
_UNFINISHED: Final = ".new"


class DiskFiles:
    """One flat folder. Keeps its files open until `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}
        for left_over in folder.glob(f"*{_UNFINISHED}"):
            left_over.unlink()

    def names(self) -> list[str]:
        """Names of all finished files, sorted."""
        return sorted(path.name for path in self._folder.iterdir())

    def read(self, name: str) -> bytes:
        """The whole file."""
        return (self._folder / name).read_bytes()

    def allocate(self, name: str, size_bytes: int) -> None:
        """Write zeros, so that later writes change data only and their syncs are cheap."""
        unfinished = self._folder / f"{name}{_UNFINISHED}"
        zeros = bytes(_CHUNK_BYTES)
        try:
            with unfinished.open("wb") as file:
                for offset in range(0, size_bytes, _CHUNK_BYTES):
                    file.write(zeros[: min(_CHUNK_BYTES, size_bytes - offset)])
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._folder / name)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(self._folder)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Overwrite; the kernel may take less at a time."""
        file = self._file(name)
        rest = memoryview(data)
        while rest:
            written = os.pwrite(file, rest, offset)
            rest, offset = rest[written:], offset + written

    def sync(self, name: str) -> None:
        """Data only: the size never changes after allocation."""
        os.fdatasync(self._file(name))

    def remove(self, name: str) -> None:
        """Close and delete."""
        file = self._open.pop(name, None)
        if file is not None:
            os.close(file)
        (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)

    def close(self) -> None:
        """Close all files."""
        for file in self._open.values():
            os.close(file)
        self._open.clear()

    def _file(self, name: str) -> int:
        file = self._open.get(name)
        if file is None:
            file = self._open[name] = os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)
        return file


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """The folder, with those above it that are missing; its name is durable on return.

    Also when an earlier life made it and was killed before it could sync.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    if not missing:
        # Who may not even look into the folder above has not made this one.
        with contextlib.suppress(PermissionError):
            sync_folder(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Durable on return: after a crash the file holds the old content or all of the new."""
    new = path.with_name(path.name + _UNFINISHED)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)
