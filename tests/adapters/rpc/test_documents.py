"""Documents travel whole between nodes, and an old owner's are refused."""

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import grpc
import pytest

from molecule.config import Limits
from molecule.model.errors import InvalidInput, LimitExceeded, StaleToken
from molecule.rpc.channel import PeerChannels
from molecule.rpc.documents import DocumentsClient, DocumentsService
from molecule.rpc.identity import Identity
from molecule.rpc.server import PeerServer
from molecule.wire.v1 import peer_documents_pb2
from molecule.wire.v1.peer_documents_pb2_grpc import PeerDocumentsStub
from tests.adapters.rpc.cluster_of_two import live

LIMITS = Limits(document_bytes_max=3_000_000, document_digests_per_call_max=3)


def digest_of(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


class Kept:
    """Documents in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.pinned: set[str] = set()

    async def put_named(self, digest: str, payload: bytes) -> object:
        if digest_of(payload) != digest:
            raise InvalidInput("the bytes have another digest")
        self.documents[digest] = payload
        return None

    async def pin(self, digests: Collection[str]) -> frozenset[str]:
        found = frozenset(digest for digest in digests if digest in self.documents)
        self.pinned |= found
        return found

    async def get(self, digest: str) -> bytes | None:
        return self.documents.get(digest)


def may_write(who: Identity, execution: str, token: int) -> None:
    if execution and (execution, token, who.name) != ("e1", 2, "n2"):
        raise StaleToken(f"{execution} is no longer on {who.name}", current=2)


async def missing(index: int) -> tuple[int, list[str]]:
    return index + 1, ["d1", "d2"]


@asynccontextmanager
async def documents(
    client_limits: Limits = LIMITS,
) -> AsyncIterator[tuple[Kept, DocumentsClient, PeerDocumentsStub]]:
    kept = Kept()
    server = PeerServer("127.0.0.1:0", live("n1"), limits=LIMITS)
    service = DocumentsService(kept, may_write=may_write, missing=missing, limits=LIMITS)
    service.register(server)
    await server.start()
    channels = PeerChannels(live("n2"), limits=client_limits)
    channel = channels.to("n1", f"127.0.0.1:{server.port}")
    try:
        yield kept, DocumentsClient(channel, limits=client_limits), PeerDocumentsStub(channel)
    finally:
        await channels.close()
        await server.stop()


@pytest.mark.parametrize("size_bytes", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
async def test_document_put_comes_back_whole(size_bytes: int) -> None:
    payload = (b"0123456789" * (size_bytes // 10 + 1))[:size_bytes]
    async with documents() as (_, client, _):
        await client.put(digest_of(payload), payload)
        assert await client.get(digest_of(payload)) == payload


async def test_document_that_is_not_there_is_none() -> None:
    async with documents() as (_, client, _):
        assert await client.get("a" * 64) is None


async def test_question_for_documents_pins_those_that_are_there() -> None:
    async with documents() as (kept, client, _):
        await client.put(digest_of(b"a"), b"a")
        assert await client.has([digest_of(b"a"), digest_of(b"b")]) == {digest_of(b"a")}
        assert kept.pinned == {digest_of(b"a")}


async def test_old_owner_is_refused_and_nothing_is_kept() -> None:
    async with documents() as (kept, client, _):
        await client.put(digest_of(b"a"), b"a", execution="e1", token=2)
        with pytest.raises(StaleToken) as refused:
            await client.put(digest_of(b"b"), b"b", execution="e1", token=1)
        assert refused.value.facts == {"current": 2}
        assert set(kept.documents) == {digest_of(b"a")}


async def test_document_over_the_limit_is_refused_by_its_name() -> None:
    payload = b"x" * 3_000_001
    async with documents() as (kept, client, _):
        with pytest.raises(LimitExceeded, match="document_bytes_max"):
            await client.put(digest_of(payload), payload)
        assert kept.documents == {}


async def test_more_digests_than_allowed_are_refused_by_the_limits_name() -> None:
    async with documents() as (_, client, _):
        with pytest.raises(LimitExceeded, match="document_digests_per_call_max"):
            await client.has(["a" * 64, "b" * 64, "c" * 64, "d" * 64])


async def test_answer_over_the_askers_limit_is_not_collected() -> None:
    async with documents(Limits(document_bytes_max=1_000)) as (kept, client, _):
        payload = b"x" * 1_001
        kept.documents[digest_of(payload)] = payload
        with pytest.raises(LimitExceeded, match="document_bytes_max"):
            await client.get(digest_of(payload))


async def test_bytes_with_another_digest_are_refused() -> None:
    async with documents() as (kept, client, _):
        with pytest.raises(InvalidInput, match="another digest"):
            await client.put(digest_of(b"a"), b"b")
        assert kept.documents == {}


@pytest.mark.parametrize("contents", [[], [b"ab"], [b"ab", b"cd", b"ef"]])
async def test_document_of_another_size_than_announced_is_refused(contents: list[bytes]) -> None:
    async with documents() as (kept, _, stub):

        async def parts() -> AsyncIterator[peer_documents_pb2.PutDocumentPart]:
            for number, content in enumerate(contents):
                size_bytes = 0 if number else 4
                yield peer_documents_pb2.PutDocumentPart(
                    digest=digest_of(b"abcd"), size_bytes=size_bytes, content=content
                )

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Put(parts())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert kept.documents == {}


async def test_documents_that_are_missing_are_named() -> None:
    async with documents() as (_, client, _):
        told = await client.missing(7)
    assert (told.count, told.digests, told.index) == (2, frozenset({"d1", "d2"}), 8)
