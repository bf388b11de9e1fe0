"""The documents of one simulated voter, on its simulated disk: written, synced, named, synced.

Stands where the product's `DocumentStore` stands, whose own writes are tried by the crash points.
What must stay true: a document is acknowledged only when a loss of power leaves it.
"""

import asyncio
import errno
import hashlib
import itertools
from collections.abc import Callable, Iterable
from typing import NoReturn

from molecule.model.document import DocumentRef
from molecule.model.errors import DiskFailed, StorageFull
from molecule.model.ids import Digest
from tests.simulation.disk import Disk

_FOLDER = "/documents"
_KEPT_S = 30.0
"""What nothing refers to is kept so long; the product keeps it for an hour."""


class Documents:
    """One per life of a node process."""

    def __init__(self, disk: Disk, *, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._touched_s: dict[str, float] = {}
        self._began_s = asyncio.get_running_loop().time()
        self._disk = disk
        self._numbers = itertools.count(1)
        for path in disk.paths(_FOLDER):
            if path.endswith(".new"):
                disk.remove(path)

    async def put(self, content: bytes) -> DocumentRef:
        """On disk when this returns."""
        digest = Digest(hashlib.sha256(content).hexdigest())
        path = f"{_FOLDER}/{digest}"
        disk = self._disk
        self._touched_s[digest] = asyncio.get_running_loop().time()
        if not disk.exists(path):
            temporary = f"{path}.{next(self._numbers)}.new"
            try:
                disk.create(temporary)
                disk.write(temporary, 0, content)
                syncing = disk.begin_sync(temporary)
                await asyncio.sleep(disk.sync_delay_s())
                disk.finish_sync(syncing)
                disk.rename(temporary, path)
                await asyncio.sleep(disk.sync_delay_s())
                disk.sync_folder(_FOLDER)
            except OSError as error:
                self._raise(error)
        else:
            # Another put may have named it a moment ago and not synced the folder yet.
            await asyncio.sleep(disk.sync_delay_s())
            try:
                disk.sync_folder(_FOLDER)
            except OSError as error:
                self._raise(error)
        return DocumentRef(digest, len(content))

    def _raise(self, error: OSError) -> NoReturn:
        if error.errno == errno.ENOSPC:
            raise StorageFull("the disk is full") from error
        self._failed(f"the document store failed: {error}")
        raise DiskFailed("the document store failed") from error

    async def get(self, digest: Digest) -> bytes | None:
        """The verified bytes, or None when they are not here."""
        path = f"{_FOLDER}/{digest}"
        if not self._disk.exists(path):
            return None
        content = self._disk.read(path)
        return content if hashlib.sha256(content).hexdigest() == digest else None

    async def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that are not here."""
        return [digest for digest in digests if not self._disk.exists(f"{_FOLDER}/{digest}")]

    async def collect(self, is_referenced: Callable[[str], bool]) -> int:
        """Delete what nothing refers to and nobody touched for a while; how many."""
        before_s = asyncio.get_running_loop().time() - _KEPT_S
        unwanted = [
            digest
            for path in self._disk.paths(_FOLDER)
            if not path.endswith(".new")
            and self._touched_s.get(digest := path.rpartition("/")[2], self._began_s) < before_s
            and not is_referenced(digest)
        ]
        for digest in unwanted:
            self._disk.remove(f"{_FOLDER}/{digest}")
        return len(unwanted)
