"""What a disk may hold after a crash, worked out from recorded operations.

A process that is killed leaves all that it wrote. A machine that loses its power leaves what was
synced, and of the rest whatever the kernel happened to have written back: contents without names,
names without contents, a later write without an earlier one. What must stay true: only a sync of a
file keeps its bytes, only a sync of its folder keeps its name; nothing else is taken for durable.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from chaos.crashpoints.syscalls import (
    Create,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Said,
    Sync,
    Truncate,
    Write,
)

KILLED: Final = "killed"
POWER_LOST: Final = "power lost"
Change = Write | Truncate
IGNORED_SUFFIXES: Final = ("-shm",)
"""Shared memory of SQLite: made anew by the first who opens the database after a crash."""


@dataclass(slots=True)
class _File:
    """One file, whatever its name: as processes see it, and as it was synced last."""

    seen: bytes = b""
    synced: bytes = b""
    changes: list[Change] = field(default_factory=list)
    """Since the last sync, the oldest first."""


Entry = _File | None
"""What a name stands for: a file, or None for a folder."""


@dataclass(frozen=True, slots=True)
class Image:
    """Files and folders as a crash left them."""

    kind: str
    detail: str
    files: Mapping[str, bytes]
    folders: frozenset[str]

    @property
    def key(self) -> tuple[frozenset[tuple[str, bytes]], frozenset[str]]:
        """The same for images that cannot be told apart."""
        return frozenset(self.files.items()), self.folders


class Disk:
    """The folder of a script, fed with one operation after the other."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seen: dict[str, Entry] = {}
        self._synced: dict[str, Entry] = {}

    def do(self, operation: Operation) -> bool:
        """Carry it out; True when it changed what a crash could leave."""
        match operation:
            case Said():
                return False
            case Create(path) | Write(path) | Truncate(path) if path.endswith(IGNORED_SUFFIXES):
                return False
            case Create(path, empties):
                return self._create(path, empties=empties)
            case Write(path) | Truncate(path):
                file = self._file(path)
                file.seen = _changed(file.seen, operation)
                file.changes.append(operation)
            case Sync(path):
                return self._sync(path)
            case Rename(source, target):
                # What lies in a folder would have to move with it, durably or not.
                if self._seen[source] is None:
                    raise IsADirectoryError(source)
                self._seen[target] = self._seen.pop(source)
            case Remove(path):
                return self._seen.pop(path, self) is not self
            case MakeFolder(path):
                self._seen[path] = None
        return True

    def images(self, last: Operation) -> Iterator[Image]:
        """Everything that a crash right behind `last`, which was just done, could leave.

        For a write also what a crash in the middle of it could leave.
        """
        yield self._image(KILLED, self._seen, lambda file: file.seen)
        yield self._image(POWER_LOST, self._synced, lambda file: file.synced)
        yield self._image("names early", self._seen, lambda file: file.synced)
        yield self._image("contents early", self._synced, lambda file: file.seen)
        if isinstance(last, Write) and not last.path.endswith(IGNORED_SUFFIXES):
            yield from self._of_write(last)

    def _of_write(self, last: Write) -> Iterator[Image]:
        file, size = self._file(last.path), len(last.data)
        before = _all_changed(file.synced, file.changes[:-1])
        for length in sorted({1, size // 2, size - 1} - {0}):
            part = Write(last.path, last.offset, last.data[:length])
            detail = f"{length} of {size} bytes"
            seen = {id(file): _changed(before, part)}
            yield self._image(
                "killed in a write", self._seen, lambda one: one.seen, other=seen, detail=detail
            )
            alone = {id(file): _changed(file.synced, part)}
            yield self._image(
                "part of a write early",
                self._synced,
                lambda one: one.synced,
                other=alone,
                detail=detail,
            )
        alone = {id(file): _changed(file.synced, last)}
        yield self._image("one write early", self._synced, lambda one: one.synced, other=alone)

    def _image(
        self,
        kind: str,
        names: Mapping[str, Entry],
        read: Callable[[_File], bytes],
        *,
        other: Mapping[int, bytes] | None = None,
        detail: str = "",
    ) -> Image:
        """`other`: what stands in some files instead, by their identity."""
        instead = other or {}
        reached = {
            self._relative(name): entry
            for name, entry in names.items()
            if self._is_reachable(name, names)
        }
        files = {
            name: instead[id(entry)] if id(entry) in instead else read(entry)
            for name, entry in reached.items()
            if entry is not None
        }
        folders = frozenset(name for name, entry in reached.items() if entry is None)
        return Image(kind, detail, files, folders)

    def _is_reachable(self, name: str, names: Mapping[str, Entry]) -> bool:
        parent = posixpath.dirname(name)
        while parent != self._folder:
            if parent not in names:
                return False
            parent = posixpath.dirname(parent)
        return True

    def _relative(self, name: str) -> str:
        return name.removeprefix(f"{self._folder}/")

    def _create(self, path: str, *, empties: bool) -> bool:
        if path not in self._seen:
            self._seen[path] = _File()
            return True
        if empties:
            return self.do(Truncate(path, 0))
        return False

    def _sync(self, path: str) -> bool:
        if path.endswith(IGNORED_SUFFIXES):
            return False
        entry = None if path == self._folder else self._seen[path]
        if entry is not None:
            entry.synced, entry.changes = entry.seen, []
            return True
        inside = {name for name in (*self._seen, *self._synced) if posixpath.dirname(name) == path}
        for name in inside:
            if name in self._seen:
                self._synced[name] = self._seen[name]
            else:
                del self._synced[name]
        return True

    def _file(self, path: str) -> _File:
        entry = self._seen[path]
        if entry is None:
            raise IsADirectoryError(path)
        return entry


def _changed(content: bytes, change: Change) -> bytes:
    if isinstance(change, Truncate):
        return content[: change.size].ljust(change.size, b"\0")
    start = content[: change.offset].ljust(change.offset, b"\0")
    return start + change.data + content[change.offset + len(change.data) :]


def _all_changed(content: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        content = _changed(content, change)
    return content
