"""The disk of one machine: what processes see (page cache) and what would survive a power loss.

Which faults happen is left to `faults.py`; what a process makes of them is its own affair. What
must stay true: after a power loss a file holds what was synced, plus whatever part of the later
writes the kernel happened to write back, and the folder holds its names as of some moment not
before the last folder sync.
"""

import enum
import errno
import posixpath
import random
from dataclasses import dataclass, field

_FLIP = 0x41


class Killed(BaseException):
    """The process died inside a disk operation; raised through the code that called the disk."""


class Survival(enum.Enum):
    """How much of what was never synced a power loss leaves behind."""

    NOTHING = "nothing"
    PREFIX = "prefix"
    SOME = "some"


@dataclass(slots=True)
class _Change:
    """One write that is not durable yet; `data` None cuts or extends the file to `offset` bytes."""

    offset: int
    data: bytes | None


@dataclass(slots=True)
class Inode:
    """One file; only its disk may change it."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list)
    settled: int = 0

    def written(self) -> int:
        """Number of changes ever made to the file."""
        return self.settled + len(self.pending)


@dataclass(slots=True)
class _NameChange:
    """A name set to an inode or taken away (None)."""

    path: str
    inode: Inode | None
    first_of_two: bool = False


@dataclass(frozen=True, slots=True)
class Syncing:
    """A sync under way: it covers the first `written` changes of the file."""

    inode: Inode
    written: int


@dataclass(slots=True)
class DiskProfile:
    """How fast this disk syncs; a fault may change it for a while."""

    sync_min_s: float = 0.0002
    sync_max_s: float = 0.002


class Disk:
    """Files by absolute path: what is written is visible at once and durable when synced."""

    def __init__(self, rng: random.Random, profile: DiskProfile) -> None:
        self._rng = rng
        self.profile = profile
        self._names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._pending_names: list[_NameChange] = []
        self.is_full = False
        self.is_failing = False
        self.dies_after: int | None = None
        self.is_dead = False
        self.errors_hit = 0

    # Reading never fails in this model: damage is planted in the bytes instead.

    def exists(self, path: str) -> bool:
        return path in self._names

    def paths(self, folder: str) -> list[str]:
        """Every file below a folder, sorted."""
        prefix = folder.rstrip("/") + "/"
        return sorted(path for path in self._names if path.startswith(prefix))

    def read(self, path: str) -> bytes:
        return bytes(self._inode(path).data)

    def size(self, path: str) -> int:
        return len(self._inode(path).data)

    def create(self, path: str) -> None:
        """A new empty file; an old one of that name is emptied (as with mode "wb")."""
        self._step()
        if path in self._names:
            self._change(self._names[path], _Change(0, None))
        else:
            self._rename(path, Inode())

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Overwrite or extend; a kill in the middle leaves the first part of the bytes."""
        inode = self._inode(path)
        if self.is_full and offset + len(data) > len(inode.data):
            self._fail(errno.ENOSPC)
        try:
            self._step()
        except Killed:
            torn = data[: self._rng.randrange(len(data) + 1)]
            self._change(inode, _Change(offset, torn))
            raise
        self._change(inode, _Change(offset, data))

    def truncate(self, path: str, size: int) -> None:
        """Cut to a size, or extend with zeros."""
        inode = self._inode(path)
        if self.is_full and size > len(inode.data):
            self._fail(errno.ENOSPC)
        self._step()
        self._change(inode, _Change(size, None))

    def rename(self, source: str, target: str) -> None:
        """Give a file another name in one step, in place of what had it."""
        self._step()
        inode = self._inode(source)
        self._rename(source, None, first_of_two=True)
        self._rename(target, inode)

    def remove(self, path: str) -> None:
        self._step()
        self._inode(path)
        self._rename(path, None)

    def sync(self, path: str) -> None:
        """All writes to this file become durable, though not its name."""
        self.finish_sync(self.begin_sync(path))

    def begin_sync(self, path: str) -> Syncing:
        """Note what a sync that starts now will cover."""
        inode = self._inode(path)
        return Syncing(inode, inode.written())

    def finish_sync(self, syncing: Syncing) -> None:
        """The sync returns: what it covered is durable, or it fails and nothing is known."""
        self._step()
        if self.is_failing:
            self._fail(errno.EIO)
        inode = syncing.inode
        # Another sync of the same file may have finished meanwhile.
        count = max(0, syncing.written - inode.settled)
        done, inode.pending = inode.pending[:count], inode.pending[count:]
        inode.settled += len(done)
        for change in done:
            _write(inode.durable, change)

    def sync_folder(self, folder: str) -> None:
        """Names in this folder become durable, and all name changes before them, as journalled."""
        self._step()
        if self.is_failing:
            self._fail(errno.EIO)
        folder = folder.rstrip("/")
        last = -1
        for position, change in enumerate(self._pending_names):
            if posixpath.dirname(change.path) == folder:
                last = position
        if last >= 0 and self._pending_names[last].first_of_two:
            last += 1
        self._settle_names(last + 1)

    def sync_delay_s(self) -> float:
        """How long the next sync will take."""
        profile = self.profile
        return profile.sync_min_s + (profile.sync_max_s - profile.sync_min_s) * self._rng.random()

    # What faults do to the disk.

    def lose_power(self, survival: Survival) -> None:
        """Forget what was not synced, but for what the kernel had written back by itself."""
        names = self._pending_names
        keep = 0 if survival is Survival.NOTHING else self._rng.randrange(len(names) + 1)
        if keep and names[keep - 1].first_of_two:
            keep += 1
        self._settle_names(keep)
        self._pending_names = []
        self._names = dict(self._durable_names)
        for path in sorted(self._names):
            self._lose_writes(self._names[path], survival)

    def revive(self) -> None:
        """The process is started again on this disk."""
        self.is_dead = False
        self.dies_after = None

    def flip(self, path: str, offset: int) -> None:
        """Damage one byte, durably."""
        inode = self._inode(path)
        for content in (inode.data, inode.durable):
            if offset < len(content):
                content[offset] ^= _FLIP

    def image(self) -> dict[str, bytes]:
        """A copy of everything that processes see, for `restore`."""
        return {path: bytes(inode.data) for path, inode in self._names.items()}

    def restore(self, image: dict[str, bytes]) -> None:
        """Put a copy in place of everything, durably."""
        self._names = {
            path: Inode(bytearray(data), bytearray(data)) for path, data in image.items()
        }
        self._durable_names = dict(self._names)
        self._pending_names = []

    def _lose_writes(self, inode: Inode, survival: Survival) -> None:
        pending, inode.pending = inode.pending, []
        if not pending:
            return
        inode.settled += len(pending)
        if survival is Survival.PREFIX:
            keep = self._rng.randrange(len(pending) + 1)
            for change in pending[:keep]:
                _write(inode.durable, change)
            if keep < len(pending):
                self._tear(inode, pending[keep])
        elif survival is Survival.SOME:
            for change in pending:
                if self._rng.random() < 0.5:
                    _write(inode.durable, change)
        inode.data = bytearray(inode.durable)

    def _tear(self, inode: Inode, change: _Change) -> None:
        if change.data:
            torn = change.data[: self._rng.randrange(len(change.data))]
            _write(inode.durable, _Change(change.offset, torn))

    def _inode(self, path: str) -> Inode:
        inode = self._names.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file on the simulated disk", path)
        return inode

    def _change(self, inode: Inode, change: _Change) -> None:
        _write(inode.data, change)
        inode.pending.append(change)

    def _rename(self, path: str, inode: Inode | None, *, first_of_two: bool = False) -> None:
        change = _NameChange(path, inode, first_of_two)
        _name(self._names, change)
        self._pending_names.append(change)

    def _settle_names(self, count: int) -> None:
        done, self._pending_names = self._pending_names[:count], self._pending_names[count:]
        for change in done:
            _name(self._durable_names, change)

    def _step(self) -> None:
        """One operation that changes something; the armed kill strikes in front of it."""
        if self.is_dead:
            raise Killed
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.is_dead = True
                raise Killed

    def _fail(self, code: int) -> None:
        self.errors_hit += 1
        raise OSError(code, errno.errorcode[code])


def _write(content: bytearray, change: _Change) -> None:
    offset, data = change.offset, change.data
    size = len(content)
    if data is None:
        if offset < size:
            del content[offset:]
        elif offset > size:
            content.extend(bytes(offset - size))
        return
    if offset > size:
        content.extend(bytes(offset - size))
    content[offset : offset + len(data)] = data


def _name(names: dict[str, Inode], change: _NameChange) -> None:
    if change.inode is None:
        names.pop(change.path, None)
    else:
        names[change.path] = change.inode
