"""The data folder of a voter: identity, lock, and generations of journal and state.

    DATA/lock                         held while a process uses the folder
    DATA/identity.json                cluster, node, founders, birth
    DATA/CURRENT                      the number of the generation in use
    DATA/generations/<n>/journal/     segments
    DATA/generations/<n>/state.db     the state machine's, not opened here

A received snapshot fills a new generation beside the old one; replacing CURRENT by one rename puts
state and journal in use together, so no crash can leave one without the other.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule.model.errors import DamagedData
from molecule.raft import identity
from molecule.raft.files import DiskFiles, make_folder, replace_file, sync_folder
from molecule.raft.formation import FormationRecord
from molecule.raft.identity import Identity
from molecule.raft.journal import Journal
from molecule.raft.recovery import open_journal
from molecule.raft.settings import Bounds

CURRENT: Final = "CURRENT"
LOCK: Final = "lock"
GENERATIONS: Final = "generations"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOLERATED: Final = frozenset({LOCK, "lost+found"})


@dataclass(frozen=True, slots=True)
class Generation:
    """One folder of journal and state."""

    number: int
    folder: Path

    @property
    def journal(self) -> Path:
        """Folder of the segments."""
        return self.folder / "journal"

    @property
    def state(self) -> Path:
        """The state machine's file."""
        return self.folder / "state.db"


class DataFolder:
    """A folder that this process has locked. Built by `open_data_folder`."""

    def __init__(self, path: Path, lock: int, who: Identity, generation: Generation) -> None:
        self.path = path
        self.identity = who
        self.generation = generation
        self._lock = lock

    def open_journal(self, bounds: Bounds) -> tuple[Journal, DiskFiles]:
        """The journal of the generation in use. Raises DamagedData."""
        where = self.generation.journal
        with _usable(where):
            files = DiskFiles(where)
            return open_journal(files, bounds=bounds, where=str(where)), files

    def save_formation(self, record: FormationRecord) -> None:
        """Durable on return."""
        self.identity = self.identity.with_formation(record)
        self.identity.save(self.path)

    def begin_install(self) -> Generation:
        """An empty generation beside the one in use; nothing refers to it yet."""
        generation = _generation(self.path, self.generation.number + 1)
        shutil.rmtree(generation.folder, ignore_errors=True)
        generation.journal.mkdir(parents=True)
        return generation

    def discard(self, generation: Generation) -> None:
        """Remove a generation that was not put in use."""
        shutil.rmtree(generation.folder, ignore_errors=True)

    def put_in_use(self, generation: Generation) -> None:
        """Make this generation the one that the next start opens.

        Its files must be durable already.
        """
        sync_folder(generation.folder)
        sync_folder(generation.folder.parent)
        replace_file(self.path / CURRENT, f"{generation.number}\n".encode())

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)


def open_data_folder(
    path: Path,
    *,
    cluster: str,
    node: str,
    voters: tuple[str, ...],
    new_birth: str,
    bounds: Bounds | None = None,
) -> DataFolder:
    """Lock and check a voter's folder; prepare it when it is empty.

    Raises DamagedData, says what to do.

    `new_birth` is a random name for the case that the folder is empty.
    """
    lock = _lock(path)
    try:
        with _usable(path):
            who = _identity(path, cluster=cluster, node=node, voters=voters, new_birth=new_birth)
            if not (path / CURRENT).exists():
                _prepare_first(path, who, bounds)
            generation = _current(path)
            _remove_others(path, generation)
            return DataFolder(path, lock, who, generation)
    except BaseException:
        os.close(lock)
        raise


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """A file that cannot be read is for a person, as damage is; a full disk may pass by itself."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise
        file = error.filename or path
        raise DamagedData(
            f"{file} cannot be used: {error.strerror}. Check its owner, its rights and its disk",
            file=str(file),
        ) from error


def _identity(
    path: Path, *, cluster: str, node: str, voters: tuple[str, ...], new_birth: str
) -> Identity:
    if (path / identity.FILE).exists():
        who = Identity.load(path)
        who.refuse_other(path, cluster=cluster, node=node, voters=voters)
        return who
    _refuse_strangers(path)
    who = Identity(cluster, node, voters, new_birth, FormationRecord({}, is_formed=False))
    who.save(path)
    return who


def _lock(path: Path) -> int:
    try:
        make_folder(path)
        handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DamagedData(
            f"the data folder {path} cannot be written: {error.strerror}."
            " Check its owner, its rights and whether the file system is mounted read-only",
            file=str(path),
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise DamagedData(
            f"the data folder {path} is in use by another process (process id {holder})."
            " Stop that one first, or give this node a folder of its own",
            file=str(path),
            holder=holder,
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _refuse_strangers(path: Path) -> None:
    strangers = sorted(
        entry.name
        for entry in path.iterdir()
        if entry.name not in _TOLERATED and not entry.name.startswith(identity.FILE)
    )
    if strangers:
        raise DamagedData(
            f"{path} has no {identity.FILE} but holds {', '.join(strangers[:5])}."
            " It is not started empty."
            f" Put {identity.FILE} back from a backup, or give this node an empty folder",
            file=str(path / identity.FILE),
        )


def _prepare_first(path: Path, who: Identity, bounds: Bounds | None) -> None:
    if who.formation.births or who.formation.is_formed:
        raise DamagedData(
            f"{path / CURRENT} is missing although this node is part of a formed cluster:"
            " its journal is lost. Put the folder back, or remove this node from the cluster"
            " and let it join again with an empty one",
            file=str(path / CURRENT),
        )
    # It never promised to take part, so whatever a broken first start left behind is worth nothing.
    shutil.rmtree(path / GENERATIONS, ignore_errors=True)
    first = _generation(path, 1)
    first.journal.mkdir(parents=True)
    files = DiskFiles(first.journal)
    Journal.create(files, bounds=bounds)
    files.close()
    sync_folder(first.folder)
    sync_folder(first.folder.parent)
    replace_file(path / CURRENT, b"1\n")


def _current(path: Path) -> Generation:
    text = (path / CURRENT).read_text(errors="replace").strip()
    if not (text.isascii() and text.isdigit()):
        raise DamagedData(
            f"{path / CURRENT} is damaged: it holds {text[:40]!r} instead of a number."
            f" If {path / GENERATIONS} holds one folder only, write its name there;"
            " otherwise let this node join again",
            file=str(path / CURRENT),
        )
    generation = _generation(path, int(text))
    if not generation.journal.is_dir():
        raise DamagedData(
            f"{path / CURRENT} names generation {text}, but {generation.journal} is missing."
            " Put it back, or remove this node from the cluster, empty its data folder"
            " and let it join again",
            file=str(generation.journal),
        )
    return generation


def _generation(path: Path, number: int) -> Generation:
    return Generation(number, path / GENERATIONS / str(number))


def _remove_others(path: Path, current: Generation) -> None:
    """Generations that were never put in use, or no longer are."""
    for folder in (path / GENERATIONS).iterdir():
        if folder != current.folder:
            shutil.rmtree(folder, ignore_errors=True)
