"""A voter's data folder on the simulated disk: generations of journal and state, and which one is
current.

What the files mean is left to `molecule.raft` and the register. What must stay true: each step
from one generation or snapshot to the next is one rename, so that a kill anywhere leaves the old
one or the new one.
"""

import json
import posixpath
from dataclasses import dataclass

from molecule.raft.formation import Formation, FormationRecord
from molecule.raft.journal import Journal
from molecule.raft.outbox import SnapshotMark
from molecule.raft.recovery import open_journal
from molecule.raft.settings import Bounds
from tests.simulation.disk import Disk

_ROOT = "/data"
_CURRENT = f"{_ROOT}/CURRENT"
_IDENTITY = f"{_ROOT}/identity"
_GENERATIONS = f"{_ROOT}/generations"


@dataclass(frozen=True, slots=True)
class DiskFiles:
    """One folder of a simulated disk as `molecule.raft.ports.Files`."""

    disk: Disk
    folder: str

    def names(self) -> list[str]:
        return [posixpath.basename(path) for path in self.disk.paths(self.folder)]

    def read(self, name: str) -> bytes:
        return self.disk.read(self._path(name))

    def allocate(self, name: str, size_bytes: int) -> None:
        path = self._path(name)
        self.disk.create(path)
        try:
            self.disk.truncate(path, size_bytes)
            self.disk.sync(path)
            self.disk.sync_folder(self.folder)
        except OSError:
            self.disk.remove(path)
            raise

    def write(self, name: str, offset: int, data: bytes) -> None:
        self.disk.write(self._path(name), offset, data)

    def sync(self, name: str) -> None:
        self.disk.sync(self._path(name))

    def remove(self, name: str) -> None:
        if self.disk.exists(self._path(name)):
            self.disk.remove(self._path(name))
        self.disk.sync_folder(self.folder)

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"


class Generation:
    """One generation of a voter's data: a journal and the newest saved state."""

    def __init__(self, disk: Disk, number: int, bounds: Bounds) -> None:
        self._disk = disk
        self._number = number
        self._bounds = bounds
        self._folder = f"{_GENERATIONS}/{number}"
        self.files = DiskFiles(disk, f"{self._folder}/journal")

    @classmethod
    def open(cls, disk: Disk, bounds: Bounds) -> "Generation":
        """The current generation; the first one is made in an empty folder."""
        if not disk.exists(_CURRENT):
            generation = cls(disk, 1, bounds)
            generation._clear()
            Journal.create(generation.files, bounds=bounds)
            generation._become_current()
        generation = cls(disk, int(disk.read(_CURRENT)), bounds)
        for path in disk.paths(_GENERATIONS):
            if not path.startswith(f"{generation._folder}/"):
                disk.remove(path)
        return generation

    def formation(self, me: str, voters: tuple[str, ...], new_birth: str) -> Formation:
        """How far this folder is on its way into a cluster; an empty one gets a birth."""
        if not self._disk.exists(_IDENTITY):
            self._put(_IDENTITY, json.dumps([new_birth, {}, False]).encode())
        birth, births, is_formed = json.loads(self._disk.read(_IDENTITY))
        return Formation(
            cluster="simulated",
            me=me,
            voters=voters,
            birth=birth,
            promised=births,
            is_formed=is_formed,
        )

    def save_formation(self, record: FormationRecord) -> None:
        """Keep what this voter promised."""
        birth, _, _ = json.loads(self._disk.read(_IDENTITY))
        content = json.dumps([birth, dict(record.births), record.is_formed])
        self._put(_IDENTITY, content.encode())

    def open_journal(self) -> Journal:
        """The journal as the disk gives it back; raises DamagedData."""
        return open_journal(self.files, bounds=self._bounds)

    def load(self) -> tuple[SnapshotMark, bytes] | None:
        """The newest saved state and its mark."""
        path = f"{self._folder}/state"
        if not self._disk.exists(path):
            return None
        head, _, content = self._disk.read(path).partition(b"\n")
        index, term = json.loads(head)
        return SnapshotMark(index, term), content

    def save(self, mark: SnapshotMark, content: bytes) -> None:
        """Put a newer state in place of the saved one."""
        self._put(
            f"{self._folder}/state", json.dumps([mark.index, mark.term]).encode() + b"\n" + content
        )

    def replace(self, journal: Journal, mark: SnapshotMark, content: bytes) -> None:
        """Make the next generation from a received state and what this journal must keep."""
        successor = Generation(self._disk, self._number + 1, self._bounds)
        successor._clear()
        journal.install(successor.files, mark)
        successor.save(mark, content)
        successor._become_current()

    def _put(self, path: str, content: bytes) -> None:
        disk = self._disk
        disk.create(f"{path}.new")
        disk.write(f"{path}.new", 0, content)
        disk.sync(f"{path}.new")
        disk.rename(f"{path}.new", path)
        disk.sync_folder(posixpath.dirname(path))

    def _become_current(self) -> None:
        self._put(_CURRENT, str(self._number).encode())

    def _clear(self) -> None:
        for path in self._disk.paths(self._folder):
            self._disk.remove(path)
