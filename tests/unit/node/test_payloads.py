"""Documents over all voters: found wherever they are, and missed only when nobody can have them."""

import asyncio
import hashlib

import pytest

from molecule.config import Limits
from molecule.model.document import DocumentRef
from molecule.model.errors import MoleculeError, NotFound, StorageFull, Unavailable
from molecule.model.ids import Digest
from molecule.node.payloads import Payloads, digest_of

CONTENT = b"a document"
DIGEST = Digest(hashlib.sha256(CONTENT).hexdigest())
FROZEN = object()

Found = bytes | MoleculeError | object | None


class Nothing:
    """A document store that is empty."""

    async def put(self, content: bytes) -> DocumentRef:
        return DocumentRef(DIGEST, len(content))

    async def get(self, _digest: Digest) -> bytes | None:
        return None

    async def collect(self, _is_referenced: object) -> int:
        return 0


async def asked(n2: Found, n3: Found, limits: Limits | None = None) -> bytes:
    """What node n1 gets, which has nothing itself."""

    async def get_from(voter: str, _digest: Digest) -> bytes | None:
        found = {"n2": n2, "n3": n3}[voter]
        if found is FROZEN:
            await asyncio.Event().wait()
        if isinstance(found, MoleculeError):
            raise found
        assert found is None or isinstance(found, bytes)
        return found

    async def put_at(_voter: str, _content: bytes, _execution: str, _token: int) -> None:
        raise AssertionError

    found = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Nothing(),
        put_at=put_at,
        get_from=get_from,
        limits=limits or Limits(),
    )
    return await found.get(DIGEST)


async def test_a_document_is_found_behind_a_voter_that_lacks_it() -> None:
    assert await asked(None, CONTENT) == CONTENT


async def test_a_document_is_not_called_lost_while_a_voter_cannot_be_asked() -> None:
    with pytest.raises(Unavailable, match="n3 cannot be asked"):
        await asked(None, Unavailable("down"))


async def test_a_document_that_every_voter_lacks_is_not_found() -> None:
    with pytest.raises(NotFound):
        await asked(None, b"damaged")


async def test_a_frozen_voter_does_not_keep_a_document_from_being_found() -> None:
    assert await asked(FROZEN, CONTENT, Limits(document_get_ms_max=0)) == CONTENT


async def put(n2: MoleculeError | object | None, n3: MoleculeError | object | None) -> None:
    """Node n1 puts a document; None: the voter takes it."""

    async def put_at(voter: str, _content: bytes, _execution: str, _token: int) -> None:
        refused = {"n2": n2, "n3": n3}[voter]
        if refused is FROZEN:
            await asyncio.Event().wait()
        if isinstance(refused, MoleculeError):
            raise refused

    async def get_from(_voter: str, _digest: Digest) -> bytes | None:
        raise AssertionError

    found = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Nothing(),
        put_at=put_at,
        get_from=get_from,
        limits=Limits(),
    )
    await found.put(CONTENT)


async def test_a_document_needs_one_of_two_other_voters() -> None:
    await put(Unavailable("down"), None)
    await put(None, FROZEN)


async def test_a_document_is_not_called_kept_before_another_voter_has_it() -> None:
    taken = asyncio.Event()

    async def put_at(voter: str, _content: bytes, _execution: str, _token: int) -> None:
        await (taken.wait() if voter == "n3" else asyncio.Event().wait())

    async def get_from(_voter: str, _digest: Digest) -> bytes | None:
        raise AssertionError

    payloads = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Nothing(),
        put_at=put_at,
        get_from=get_from,
        limits=Limits(),
    )
    async with asyncio.TaskGroup() as group:
        putting = group.create_task(payloads.put(CONTENT))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not putting.done(), "one of three voters has it"
        taken.set()


async def test_a_document_that_no_majority_can_take_is_refused_without_waiting() -> None:
    async with asyncio.timeout(Limits().document_put_ms_max / 2_000):
        with pytest.raises(StorageFull, match=r"n2: full.*n3: down"):
            await put(StorageFull("full"), Unavailable("down"))


async def test_a_full_disk_does_not_end_the_repair_of_documents() -> None:
    rounds = 0

    class Full(Nothing):
        async def put(self, _content: bytes) -> DocumentRef:
            raise StorageFull("full")

    async def get_from(_voter: str, _digest: Digest) -> bytes | None:
        return CONTENT

    async def put_at(_voter: str, _content: bytes, _execution: str, _token: int) -> None:
        raise AssertionError

    async def lacking() -> list[Digest]:
        nonlocal rounds
        rounds += 1
        if rounds > 2:
            raise asyncio.CancelledError
        return [DIGEST]

    found = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Full(),
        put_at=put_at,
        get_from=get_from,
        limits=Limits(document_repair_every_ms=0),
    )
    with pytest.raises(asyncio.CancelledError):
        await found.repair(lacking)
    assert found.missing == 1


async def test_a_round_of_repair_begins_when_somebody_waits_for_it() -> None:
    async def never(*_asked: object) -> None:
        raise AssertionError

    async def lacking() -> list[Digest]:
        raise asyncio.CancelledError

    found = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Nothing(),
        put_at=never,
        get_from=never,
        limits=Limits(document_repair_every_ms=3_600_000),
    )
    repairing = asyncio.ensure_future(found.repair(lacking))
    await asyncio.sleep(0)
    assert not repairing.done()
    found.hurry()
    with pytest.raises(asyncio.CancelledError):
        await repairing


async def test_of_many_missing_documents_few_are_fetched_at_once() -> None:
    contents = {digest_of(b"%d" % number): b"%d" % number for number in range(40)}
    kept: set[bytes] = set()
    most = 0

    class Kept(Nothing):
        async def put(self, content: bytes) -> DocumentRef:
            kept.add(content)
            return await super().put(content)

    async def put_at(_voter: str, _content: bytes, _execution: str, _token: int) -> None:
        raise AssertionError

    async def get_from(_voter: str, digest: Digest) -> bytes | None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        return contents[digest]

    asked: list[None] = []

    async def lacking() -> list[Digest]:
        asked.append(None)
        if len(asked) > 1:
            raise asyncio.CancelledError
        return list(contents)

    limits = Limits(document_repair_every_ms=0, document_repairs_max=3)
    found = Payloads(
        me="n1",
        voters=lambda: ("n1", "n2", "n3"),
        documents=Kept(),
        put_at=put_at,
        get_from=get_from,
        limits=limits,
    )
    with pytest.raises(asyncio.CancelledError):
        await found.repair(lacking)
    assert kept == set(contents.values())
    assert most < len(contents) // 2, "a task for each of them"
