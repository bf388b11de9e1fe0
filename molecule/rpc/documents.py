"""Documents over gRPC: the service in front of a node's document store, and its client.

Bytes are streamed in parts and checked against their digest by whoever keeps them. What must stay
true: a document written for an execution is refused when the writer no longer holds that execution.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from molecule.config import Limits
from molecule.model.errors import InvalidInput, LimitExceeded, NotFound
from molecule.rpc import errors
from molecule.rpc.identity import Identity, caller
from molecule.wire.v1 import peer_documents_pb2
from molecule.wire.v1.peer_documents_pb2_grpc import (
    PeerDocumentsServicer,
    PeerDocumentsStub,
    add_PeerDocumentsServicer_to_server,
)

_PART_BYTES: Final = 256 * 1024

MayWrite = Callable[[Identity, str, int], None]
"""Raises `StaleToken` (or another error) when this node may not write for (execution, token)."""


Missing = Callable[[int], Awaitable[tuple[int, Sequence[str]]]]
"""Referenced documents that are not here, with the index of the state that was compared."""


@dataclass(frozen=True, slots=True)
class MissingDocuments:
    """What a voter lacks; `digests` are all of them unless there are very many."""

    count: int
    digests: frozenset[str]
    index: int


class DocumentsPort(Protocol):
    """What the service needs of a document store."""

    async def put_named(self, digest: str, payload: bytes) -> object:
        """Keep the document durably; `InvalidInput` when the bytes do not have this digest."""

    async def pin(self, digests: Collection[str]) -> frozenset[str]:
        """Those of them that are here, kept for an hour from now."""

    async def get(self, digest: str) -> bytes | None:
        """The bytes, checked; None when they are not here."""


class DocumentsService(PeerDocumentsServicer):
    """Serves one store to the nodes of the cluster."""

    def __init__(
        self, store: DocumentsPort, *, may_write: MayWrite, missing: Missing, limits: Limits
    ) -> None:
        self._store = store
        self._may_write = may_write
        self._missing = missing
        self._limits = limits

    def register(self, server: "_Registers") -> None:
        """Before the server starts."""
        server.register(add_PeerDocumentsServicer_to_server, self)

    async def Put(  # noqa: N802
        self, request_iterator: AsyncIterator[peer_documents_pb2.PutDocumentPart], context: Any
    ) -> peer_documents_pb2.PutDocumentReply:
        """Refused before any byte is kept when size or token are wrong."""
        del context
        first = await anext(request_iterator, None)
        if first is None:
            raise InvalidInput("a document begins with its digest and its size")
        if first.size_bytes > self._limits.document_bytes_max:
            raise LimitExceeded(
                limit="document_bytes_max",
                allowed=self._limits.document_bytes_max,
                asked=first.size_bytes,
            )
        self._may_write(caller(), first.execution, first.token)
        payload = bytearray(first.content)
        async for part in request_iterator:
            payload += part.content
            if len(payload) > first.size_bytes:
                break
        if len(payload) != first.size_bytes:
            raise InvalidInput(f"the document was announced with {first.size_bytes} bytes")
        # The assignment may have ended while the bytes travelled.
        self._may_write(caller(), first.execution, first.token)
        await self._store.put_named(first.digest, bytes(payload))
        return peer_documents_pb2.PutDocumentReply()

    async def Has(  # noqa: N802
        self, request: peer_documents_pb2.HasDocumentsRequest, context: Any
    ) -> peer_documents_pb2.HasDocumentsReply:
        """Those that are here, pinned."""
        del context
        allowed = self._limits.document_digests_per_call_max
        if len(request.digests) > allowed:
            raise LimitExceeded(
                limit="document_digests_per_call_max", allowed=allowed, asked=len(request.digests)
            )
        found = await self._store.pin(list(request.digests))
        return peer_documents_pb2.HasDocumentsReply(digests=sorted(found))

    async def Get(  # noqa: N802
        self, request: peer_documents_pb2.GetDocumentRequest, context: Any
    ) -> AsyncIterator[peer_documents_pb2.DocumentPart]:
        """All bytes, or `NotFound`."""
        del context
        payload = await self._store.get(request.digest)
        if payload is None:
            raise NotFound(f"document {request.digest} is not on this node")
        for part in _parts(payload):
            yield peer_documents_pb2.DocumentPart(content=part)

    async def Missing(  # noqa: N802
        self, request: peer_documents_pb2.MissingDocumentsRequest, context: Any
    ) -> peer_documents_pb2.MissingDocumentsReply:
        """Those that should be here and are not."""
        del context
        index, digests = await self._missing(request.index)
        told = digests[: self._limits.documents_missing_told_max]
        return peer_documents_pb2.MissingDocumentsReply(
            count=len(digests), digests=told, index=index
        )


class DocumentsClient:
    """The documents of one other node, behind a channel to it."""

    def __init__(self, channel: Any, *, limits: Limits) -> None:
        self._stub = PeerDocumentsStub(channel)
        self._limits = limits

    async def put(
        self,
        digest: str,
        payload: bytes,
        *,
        execution: str = "",
        token: int = 0,
        timeout_s: float | None = None,
    ) -> None:
        """Return when the other node keeps the document durably."""
        parts = _parts(payload)
        first = peer_documents_pb2.PutDocumentPart(
            digest=digest,
            size_bytes=len(payload),
            execution=execution,
            token=token,
            content=next(parts),
        )

        async def requests() -> AsyncIterator[peer_documents_pb2.PutDocumentPart]:
            yield first
            for part in parts:
                yield peer_documents_pb2.PutDocumentPart(content=part)

        with errors.translated():
            await self._stub.Put(requests(), timeout=timeout_s)

    async def has(
        self, digests: Collection[str], *, timeout_s: float | None = None
    ) -> frozenset[str]:
        """Those of them that the other node has; it keeps them for an hour from now."""
        asked = peer_documents_pb2.HasDocumentsRequest(digests=digests)
        with errors.translated():
            reply = await self._stub.Has(asked, timeout=timeout_s)
        return frozenset(reply.digests)

    async def missing(self, index: int, *, timeout_s: float | None = None) -> MissingDocuments:
        """What the other node lacks, in its state of log index `index` or later."""
        asked = peer_documents_pb2.MissingDocumentsRequest(index=index)
        with errors.translated():
            reply = await self._stub.Missing(asked, timeout=timeout_s)
        return MissingDocuments(reply.count, frozenset(reply.digests), reply.index)

    async def get(self, digest: str, *, timeout_s: float | None = None) -> bytes | None:
        """The bytes, None when they are not there; check the digest before you keep them."""
        payload = bytearray()
        asked = peer_documents_pb2.GetDocumentRequest(digest=digest)
        try:
            with errors.translated():
                async for part in self._stub.Get(asked, timeout=timeout_s):
                    payload += part.content
                    if len(payload) > self._limits.document_bytes_max:
                        raise LimitExceeded(
                            limit="document_bytes_max",
                            allowed=self._limits.document_bytes_max,
                            asked=len(payload),
                        )
        except NotFound:
            return None
        return bytes(payload)


def _parts(payload: bytes) -> Iterator[bytes]:
    yield payload[:_PART_BYTES]
    for start in range(_PART_BYTES, len(payload), _PART_BYTES):
        yield payload[start : start + _PART_BYTES]


class _Registers(Protocol):
    def register(self, add: Callable[[Any, Any], None], servicer: object) -> None: ...
