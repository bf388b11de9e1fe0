"""Documents by the sha256 of their bytes: put before the log names them, read back checked.

Puts that come together are synced together. A put or a pin keeps a document for an hour; after that
it stays as long as something refers to it. What must stay true: a put that returned survives any
crash, and the bytes handed out are the bytes that were put.
"""

import asyncio
import contextlib
import hashlib
import itertools
import re
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

import structlog

from molecule.config import Limits
from molecule.model.document import DocumentRef
from molecule.model.errors import (
    InvalidInput,
    LimitExceeded,
    MoleculeError,
    Overloaded,
    StorageFull,
    Unavailable,
)
from molecule.model.ids import Digest
from molecule.storage import schema
from molecule.storage.document_disk import DocumentDisk, Put
from molecule.storage.lock import FolderLock

log = structlog.get_logger(__name__)

_T = TypeVar("_T")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SLICE: Final = 500
_PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))


@dataclass(frozen=True, slots=True)
class _Wish:
    """One caller's part of the next transaction."""

    puts: tuple[Put, ...]
    touches: tuple[str, ...]
    done: "asyncio.Future[frozenset[str]]"


class DocumentStore:
    """One folder of documents, used by one process. Made by `open`, ended by `close`.

    Time is the store's own: it goes on only while the store is open, by a monotonic clock, so that
    no step of the wall clock ends anybody's hour early.
    """

    def __init__(
        self, disk: DocumentDisk, lock: FolderLock, limits: Limits, clock_ms: Callable[[], int]
    ) -> None:
        self._disk = disk
        self._lock = lock
        self._limits = limits
        self._clock_ms = clock_ms
        self._started_ms = clock_ms()
        self._base_ms = disk.newest_touch_ms()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="documents-write")
        self._pool = ThreadPoolExecutor(limits.document_reads_max, thread_name_prefix="documents")
        self._wishes: list[_Wish] = []
        self._committing: Future[frozenset[str]] | None = None
        self._names = itertools.count()
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken: MoleculeError | None = None
        self._failed = asyncio.Event()
        self.damaged_total = 0

    @classmethod
    async def open(cls, folder: Path, *, limits: Limits, clock_ms: Callable[[], int]) -> Self:
        """The store in `folder`, made when there is none; `clock_ms` never goes back.

        `DamagedData` when the folder is locked, not writable, or its table is corrupt, newer or
        gone.
        """
        return await asyncio.to_thread(cls._open, folder, limits, clock_ms)

    @classmethod
    def _open(cls, folder: Path, limits: Limits, clock_ms: Callable[[], int]) -> Self:
        with schema.storage_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock.take(folder)
        try:
            return cls(DocumentDisk(folder), lock, limits, clock_ms)
        except BaseException:
            lock.release()
            raise

    async def close(self) -> None:
        """Finish what was begun, refuse what comes, and give the folder back."""
        self._broken = Unavailable("the document store was closed")
        await self._idle.wait()
        await asyncio.to_thread(self._pool.shutdown)
        await asyncio.to_thread(self._writer.shutdown)
        self._disk.close()
        self._lock.release()

    async def failed(self) -> MoleculeError:
        """Why nothing more can be kept here, as soon as that is so."""
        while self._broken is None:
            await self._failed.wait()
        return self._broken

    # ---- keeping

    async def put(self, payload: bytes) -> DocumentRef:
        """Keep these bytes; returns when they are durable, kept for an hour at least."""
        self._check_size(payload)
        digest = await self._in(self._pool, _digest, payload)
        await self._keep(digest, payload)
        return DocumentRef(Digest(digest), len(payload))

    async def put_named(self, digest: str, payload: bytes) -> DocumentRef:
        """As `put`; `InvalidInput` when the bytes do not have this digest."""
        self._check_size(payload)
        found = await self._in(self._pool, _digest, payload)
        if found != digest:
            raise InvalidInput(f"the bytes have the digest {found}, not {digest}")
        await self._keep(digest, payload)
        return DocumentRef(Digest(digest), len(payload))

    async def pin(self, digests: Collection[str]) -> frozenset[str]:
        """Those of them that are here, durably kept for an hour from now."""
        return await self._commit((), self._named(digests))

    async def collect(self, is_referenced: Callable[[str], bool]) -> int:
        """Remove what nothing refers to and nobody touched for an hour; how many.

        `is_referenced` is asked on the loop, in slices, directly before each removal.
        """
        now_ms = self._now_ms()
        before_ms = now_ms - self._limits.document_pin_ms
        after, removed = "", 0
        while old := await self._in(self._writer, self._disk.old, before_ms, after, _SLICE):
            after = old[-1]
            free = [digest for digest in old if not is_referenced(digest)]
            if free:
                removed += await self._in(self._writer, self._disk.remove, free, before_ms)
        for prefix in _PREFIXES:
            await self._in(self._writer, self._disk.sweep, prefix)
        await self._in(self._writer, self._disk.note_time, now_ms)
        return removed

    # ---- asking

    async def get(self, digest: str) -> bytes | None:
        """The bytes, checked. None: not here, or damaged; then it is set aside and counted."""
        (name,) = self._named([digest])
        payload, is_whole = await self._in(self._pool, self._read, name)
        if payload is None or is_whole:
            return payload
        if await self._in(self._writer, self._set_aside, name):
            self.damaged_total += 1
            log.error("document_damaged", digest=name)
        return None

    async def has(self, digests: Collection[str]) -> frozenset[str]:
        """Those of them that are here; nothing is promised for later, see `pin`."""
        return await self._in(self._writer, self._disk.present, self._named(digests))

    async def missing(self, digests: Collection[str]) -> tuple[str, ...]:
        """Those of them that are not here, in the order given."""
        here = await self.has(digests)
        return tuple(digest for digest in digests if digest not in here)

    # ---- one transaction for many

    async def _keep(self, digest: str, payload: bytes) -> None:
        if self._broken is not None:
            raise self._broken
        if len(payload) <= self._limits.document_small_bytes_max:
            await self._commit((Put(digest, len(payload), payload, None),), ())
            return
        # It is often here already, and a touch is cheaper than its file; a damaged one is mended.
        _, is_whole = await self._in(self._pool, self._read, digest)
        if is_whole and digest in await self._commit((), (digest,)):
            return
        name = f"{digest}.{next(self._names)}"
        writing = self._pool.submit(self._disk.write_temporary, name, payload)
        try:
            file = await asyncio.wrap_future(writing)
        except asyncio.CancelledError:
            # The thread may be in the middle of it: it cleans up when it ends.
            writing.add_done_callback(_unlink_result)
            raise
        try:
            await self._commit((Put(digest, len(payload), None, file),), ())
        except MoleculeError:
            await self._in(self._pool, _unlink, file)
            raise

    async def _commit(self, puts: tuple[Put, ...], touches: tuple[str, ...]) -> frozenset[str]:
        if self._broken is not None:
            raise self._broken
        if len(self._wishes) >= self._limits.document_puts_queued_max:
            raise Overloaded(
                "too many documents are being written; the limit is document_puts_queued_max"
            )
        done: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
        self._wishes.append(_Wish(puts, touches, done))
        self._idle.clear()
        self._start_commit()
        here = await done
        return frozenset(digest for digest in touches if digest in here)

    def _start_commit(self) -> None:
        """Begin a transaction with all that waits; while one is under way its end will do so."""
        if self._committing is not None or not self._wishes:
            return
        wishes, self._wishes = self._wishes, []
        puts = [put for wish in wishes for put in wish.puts]
        touches = {digest for wish in wishes for digest in wish.touches}
        loop = asyncio.get_running_loop()
        self._committing = self._writer.submit(self._disk.commit, puts, touches, self._now_ms())
        # Not awaited by any caller: one who gives up must not leave the others without an answer.
        self._committing.add_done_callback(
            lambda ended: loop.call_soon_threadsafe(self._end_commit, wishes, ended)
        )

    def _end_commit(self, wishes: list[_Wish], ended: "Future[frozenset[str]]") -> None:
        self._committing = None
        error = ended.exception()
        if isinstance(error, MoleculeError) and not isinstance(error, StorageFull):
            # Nobody knows what a failed sync left behind, so nothing more is promised.
            self._broken = error
            self._failed.set()
        for wish in wishes:
            if wish.done.cancelled():
                continue
            if error is not None:
                wish.done.set_exception(error)
            else:
                wish.done.set_result(ended.result())
        self._start_commit()
        if self._committing is None:
            self._idle.set()

    # ---- small things

    def _read(self, digest: str) -> tuple[bytes | None, bool]:
        payload = self._disk.read(digest)
        return payload, payload is not None and _digest(payload) == digest

    def _set_aside(self, digest: str) -> bool:
        return self._disk.set_aside(digest, keep_max=self._limits.documents_damaged_max)

    def _now_ms(self) -> int:
        return self._base_ms + max(0, self._clock_ms() - self._started_ms)

    def _check_size(self, payload: bytes) -> None:
        allowed = self._limits.document_bytes_max
        if len(payload) > allowed:
            raise LimitExceeded(limit="document_bytes_max", allowed=allowed, asked=len(payload))

    def _named(self, digests: Collection[str]) -> tuple[str, ...]:
        allowed = self._limits.document_digests_per_call_max
        if len(digests) > allowed:
            raise LimitExceeded(
                limit="document_digests_per_call_max", allowed=allowed, asked=len(digests)
            )
        for digest in digests:
            # A digest becomes the name of a file.
            if _DIGEST.fullmatch(digest) is None:
                raise InvalidInput(f"{digest!r} is not a sha256 in hex")
        return tuple(digests)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., _T], *values: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *values)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _unlink_result(writing: "Future[Path]") -> None:
    if not writing.cancelled() and writing.exception() is None:
        _unlink(writing.result())


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
