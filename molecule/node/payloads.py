"""Payloads on their way into the log: small ones ride along, large ones go to a majority first.

What must stay true: an entry that names a document is proposed only after a majority of voters has
the document on disk, or a crash could leave an accepted execution without its input.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from molecule.config import Limits
from molecule.model.document import DocumentRef
from molecule.model.errors import (
    LimitExceeded,
    MoleculeError,
    NotFound,
    Overloaded,
    StorageFull,
    Unavailable,
)
from molecule.model.ids import Digest
from molecule.wire.v1 import commands_pb2 as c

_log = structlog.get_logger()


class Documents(Protocol):
    """The document store of this node."""

    async def put(self, content: bytes) -> DocumentRef:
        """On disk when this returns."""
        ...

    async def get(self, digest: Digest) -> bytes | None:
        """The verified bytes, or None when they are not here."""
        ...

    async def collect(self, is_referenced: Callable[[str], bool]) -> int:
        """Delete what nothing refers to and nobody touched for an hour; how many."""
        ...


class KeptBytes(Protocol):
    """A row that holds bytes, or the digest of the document that does."""

    @property
    def inline(self) -> bytes | None:
        """The bytes, when they are small."""
        ...

    @property
    def digest(self) -> str | None:
        """The document's, when they are not."""
        ...


PutAt = Callable[[str, bytes, str, int], Awaitable[None]]
"""Put content at another voter, in the name of (execution, token); raises errors of the tree."""

GetFrom = Callable[[str, Digest], Awaitable[bytes | None]]


class Payloads:
    """Puts, finds and repairs documents over all voters."""

    def __init__(
        self,
        *,
        me: str,
        voters: Callable[[], Sequence[str]],
        documents: Documents,
        put_at: PutAt,
        get_from: GetFrom,
        limits: Limits,
        learners: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._me = me
        self._voters = voters
        self._learners = learners
        self._documents = documents
        self._put_at = put_at
        self._get_from = get_from
        self._limits = limits
        self.missing = 0
        """Referenced documents that this node lacks, as of the last repair round."""
        self._hurry = asyncio.Event()

    async def payload(self, content: bytes, *, execution: str = "", token: int = 0) -> c.Payload:
        """The content as it goes into a command."""
        if len(content) <= self._limits.payload_inline_bytes_max:
            return c.Payload(inline=content)
        reference = await self.put(content, execution=execution, token=token)
        return c.Payload(
            stored=c.DocumentRef(digest=reference.digest, size_bytes=reference.size_bytes)
        )

    async def put(self, content: bytes, *, execution: str = "", token: int = 0) -> DocumentRef:
        """Keep the content on a majority. `Unavailable` when no majority took it in time."""
        limit = self._limits.document_bytes_max
        if len(content) > limit:
            raise LimitExceeded(limit="document_bytes_max", allowed=limit, asked=len(content))
        reference = await self._documents.put(content)
        voters = self._voters()
        others = [voter for voter in voters if voter != self._me]
        needed = len(voters) // 2 + 1 - (1 if self._me in voters else 0)
        within_s = self._limits.document_put_ms_max / 1000
        answered: asyncio.Queue[bool] = asyncio.Queue()
        refusals: dict[str, MoleculeError] = {}

        async def put_at(voter: str) -> None:
            try:
                await self._put_at(voter, content, execution, token)
            except MoleculeError as error:
                refusals[voter] = error
            answered.put_nowait(voter not in refusals)

        taken = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
                tasks = [group.create_task(put_at(voter)) for voter in others]
                while taken < needed <= len(others) - len(refusals):
                    taken += await answered.get()
                # A slow third voter fetches the document by the repair loop.
                for task in tasks:
                    task.cancel()
        if taken < needed:
            raise _not_taken(refusals)
        await self._tell_learners(content, execution, token)
        return reference

    async def _tell_learners(self, content: bytes, execution: str, token: int) -> None:
        """Give it to those who want to become voters too, for a moment and without a promise.

        Under load something new is referred to all the time: a learner that only ever fetched
        what it lacks would never lack nothing, and so never vote.
        """
        learners = [learner for learner in self._learners() if learner != self._me]
        if not learners:
            return

        async def tell(learner: str) -> None:
            with contextlib.suppress(MoleculeError):
                await self._put_at(learner, content, execution, token)

        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(self._limits.document_learner_ms_max / 1000),
                asyncio.TaskGroup() as group,
            ):
                for learner in learners:
                    group.create_task(tell(learner))

    async def kept(self, row: KeptBytes) -> bytes:
        """The content behind a row of the state store."""
        return row.inline if row.inline is not None else await self.get(Digest(row.digest or ""))

    async def get(self, digest: Digest) -> bytes:
        """The document from here or another voter, verified.

        `Unavailable` while a voter that may have it could not be asked, `NotFound` when none has.
        """
        content = await self._documents.get(digest)
        if content is None:
            content, silent = await self._fetch(digest)
            if content is None and silent:
                raise Unavailable(
                    f"the document {digest} is not here, and {', '.join(silent)} cannot be asked"
                )
        if content is None:
            raise NotFound(f"no voter has the document {digest}")
        return content

    async def _fetch(self, digest: Digest) -> tuple[bytes | None, list[str]]:
        """The document from another voter, and those that did not answer before it was found."""
        silent = []
        for voter in [voter for voter in self._voters() if voter != self._me]:
            try:
                # A frozen one must not be waited for while another has the document.
                async with asyncio.timeout(self._limits.document_get_ms_max / 1000):
                    content = await self._get_from(voter, digest)
            except (MoleculeError, TimeoutError):
                silent.append(voter)
                continue
            if content is not None and hashlib.sha256(content).hexdigest() == digest:
                return content, silent
        return None, silent

    async def collect(self, is_referenced: Callable[[str], bool]) -> None:
        """Delete here what nothing refers to any more, for ever."""
        while True:
            await asyncio.sleep(self._limits.document_collect_every_ms / 1000)
            deleted = 0
            with contextlib.suppress(StorageFull):
                deleted = await self._documents.collect(is_referenced)
            if deleted:
                _log.info("documents_collected", count=deleted)

    def hurry(self) -> None:
        """Let the next round of repair begin now: somebody waits for what is lacking here."""
        self._hurry.set()

    async def repair(self, lacking: Callable[[], Awaitable[Sequence[Digest]]]) -> None:
        """Fetch each referenced document that is not here, for ever."""

        async def mend(left: Iterator[Digest]) -> None:
            # A voter that comes back lacks a hundred thousand: a task each would be no bound.
            for digest in left:
                content, _ = await self._fetch(digest)
                if content is not None:
                    # A full disk keeps this node from mending, not from voting.
                    with contextlib.suppress(StorageFull, Overloaded):
                        await self._documents.put(content)

        while True:
            # Whoever wants to vote is waited for, and lacks everything at first.
            hurries = self._me in self._learners()
            every_ms = self._limits.document_repair_every_ms
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_ms / (10_000 if hurries else 1_000)):
                    await self._hurry.wait()
            digests = await lacking()
            self.missing = len(digests)
            if not digests:
                continue
            _log.info("documents_missing", count=len(digests))
            async with asyncio.TaskGroup() as group:
                left = iter(digests)
                for _ in range(self._limits.document_repairs_max):
                    group.create_task(mend(left))


def digest_of(content: bytes) -> Digest:
    """The name of a document: the sha256 of its bytes, hex."""
    return Digest(hashlib.sha256(content).hexdigest())


def _not_taken(refusals: Mapping[str, MoleculeError]) -> Unavailable:
    reasons = [f"{voter}: {error.message}" for voter, error in refusals.items()]
    told = "; ".join(reasons) or "they did not answer in time"
    message = f"no majority of voters took the document: {told}"
    if any(isinstance(error, StorageFull) for error in refusals.values()):
        return StorageFull(message)
    return Unavailable(message)
