"""The folder of `file.watch`: which files rest, what they hold, where they go.

A move is noted in a hidden file before it is made, and the note is removed after the group was
settled: so a successor recognises a move that its predecessor had made, and settles the group.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from molecule.model.errors import NotFound

_CHUNK_BYTES: Final = 256 * 1024
_NOTES: Final = ".molecule"
_SHORT: Final = 8


class Changed(Exception):
    """The file was written to, replaced or removed while it was read."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What tells two states of a file apart."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Look":
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that rests, with the sha256 of its content."""

    path: Path
    digest: str
    look: _Look

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return self.path.name

    @contextmanager
    def opened(self) -> Iterator[Iterator[bytes]]:
        """The content in chunks; `Changed` when it is not the file that was found."""
        with self.path.open("rb") as file:
            if _Look.of(os.fstat(file.fileno())) != self.look:
                raise Changed
            yield iter(lambda: file.read(_CHUNK_BYTES), b"")

    def check_unchanged(self) -> None:
        """Raises `Changed` when the file is no longer as it was found."""
        try:
            now = _Look.of(self.path.stat())
        except FileNotFoundError:
            raise Changed from None
        if now != self.look:
            raise Changed


@dataclass(slots=True)
class Watched:
    """Remembers since when each file looks as it does; changed by `look` and `forget` only."""

    root: Path
    stable_ms: int
    seen: dict[str, tuple[_Look, int]] = field(default_factory=dict)
    digests: dict[str, Found] = field(default_factory=dict)

    def look(self, matches: Callable[[str], bool], *, now_ms: int, by_age: bool) -> list[Found]:
        """Files that match and have not changed for `stable_ms`, in order.

        `NotFound` without the folder: a slip in its path must not look like a folder without files.
        """
        present: dict[str, _Look] = {}
        try:
            entries = list(os.scandir(self.root))
        except OSError as error:
            message = f"the watched folder {self.root} cannot be listed: {error.strerror}"
            raise NotFound(message) from None
        for entry in entries:
            if not matches(entry.name) or entry.name.startswith("."):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                present[entry.name] = _Look.of(status)
        self.seen = {
            name: self.seen[name] if self._same(name, look) else (look, now_ms)
            for name, look in present.items()
        }
        rested = [
            name for name, (_, at_ms) in self.seen.items() if now_ms - at_ms >= self.stable_ms
        ]
        rested.sort(key=lambda name: (present[name].modified_ns if by_age else 0, name))
        found = [self._found(name, present[name]) for name in rested]
        return [file for file in found if file is not None]

    def forget(self, name: str) -> None:
        """The file was moved."""
        self.seen.pop(name, None)
        self.digests.pop(name, None)

    def _same(self, name: str, look: _Look) -> bool:
        return name in self.seen and self.seen[name][0] == look

    def _found(self, name: str, look: _Look) -> Found | None:
        known = self.digests.get(name)
        if known is None or known.look != look:
            path = self.root / name
            try:
                known = Found(path, digest_of(path), look)
                known.check_unchanged()
            except (Changed, OSError):
                return None
            self.digests[name] = known
        return known


def digest_of(path: Path) -> str:
    """Sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def notes_folder(root: Path, environment: str, process: str) -> Path:
    """Where the notes of one process lie; several may watch one folder."""
    return root / _NOTES / f"{environment}.{process}"


def note_move(notes: Path, file: Found, folder: str) -> None:
    """Say durably that this file is about to be moved."""
    notes.mkdir(parents=True, exist_ok=True)
    waiting = notes / f"{file.digest}.part"
    with waiting.open("w") as out:
        json.dump({"name": file.name, "folder": folder}, out)
        out.flush()
        os.fsync(out.fileno())
    waiting.replace(notes / file.digest)
    _sync(notes)


def move(root: Path, file: Found, folder: str) -> None:
    """Move the file; nothing when it was moved or changed. Never replaces another file."""
    target = root / folder
    target.mkdir(parents=True, exist_ok=True)
    place = target / file.name
    if place.exists() and digest_of(place) != file.digest:
        place = target / f"{file.digest[:_SHORT]}-{file.name}"
    try:
        file.check_unchanged()
        file.path.replace(place)
    except (Changed, FileNotFoundError):
        return
    _sync(target)
    _sync(root)


def finish_moves(root: Path, notes: Path) -> list[str]:
    """Digests whose file a predecessor had moved without settling; their notes stay until then.

    Where the file still stands, the note alone goes: the file will be found and acted upon again.
    """
    done: list[str] = []
    try:
        found = sorted(notes.iterdir())
    except FileNotFoundError:
        return done
    for note in found:
        if note.suffix != ".part" and not _still_stands(root, note):
            done.append(note.name)
        else:
            note.unlink(missing_ok=True)
    return done


def remove_note(notes: Path, digest: str) -> None:
    """The group was settled."""
    (notes / digest).unlink(missing_ok=True)


def _still_stands(root: Path, note: Path) -> bool:
    source = root / Path(str(json.loads(note.read_text())["name"])).name
    return source.exists() and digest_of(source) == note.name


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
