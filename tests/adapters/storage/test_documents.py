"""What was acknowledged stays, what is damaged is not handed out, what nobody needs goes."""

import asyncio
import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.model.document import DocumentRef
from molecule.model.errors import (
    DamagedData,
    InvalidInput,
    LimitExceeded,
    Overloaded,
    StorageFull,
    Unavailable,
)
from molecule.storage import schema
from molecule.storage.document_disk import DocumentDisk
from molecule.storage.documents import DocumentStore

LIMITS = Limits(document_small_bytes_max=100, document_bytes_max=10_000)
HOUR_MS = LIMITS.document_pin_ms
SMALL = b"small"
LARGE = b"large" * 100


def digest_of(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_ms = 5_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[DocumentStore]:
    made = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    yield made
    await made.close()


def file_of(tmp_path: Path, payload: bytes) -> Path:
    digest = digest_of(payload)
    return tmp_path / "documents" / digest[:2] / digest[2:]


def nothing(_: str) -> bool:
    return False


@pytest.mark.parametrize("payload", [b"", SMALL, LARGE])
async def test_document_put_is_read_back_by_its_digest(
    store: DocumentStore, payload: bytes
) -> None:
    assert await store.put(payload) == DocumentRef(digest_of(payload), len(payload))  # type: ignore[arg-type]  # Digest
    assert await store.get(digest_of(payload)) == payload
    assert await store.has([digest_of(payload), "0" * 64]) == {digest_of(payload)}
    assert await store.missing(["1" * 64, digest_of(payload), "0" * 64]) == ("1" * 64, "0" * 64)


async def test_documents_survive_reopening(tmp_path: Path, clock: Clock) -> None:
    for payloads in ((SMALL, LARGE), ()):
        store = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
        for payload in payloads:
            await store.put(payload)
        assert await store.get(digest_of(SMALL)) == SMALL
        assert await store.get(digest_of(LARGE)) == LARGE
        await store.close()


async def test_many_puts_at_once_share_transactions(store: DocumentStore, tmp_path: Path) -> None:
    commits = 0
    commit = store._disk.commit

    def counted(*values: object) -> frozenset[str]:
        nonlocal commits
        commits += 1
        return commit(*values)  # type: ignore[arg-type]  # passed on

    store._disk.commit = counted  # type: ignore[assignment,method-assign]  # to count
    payloads = [b"%d" % number for number in range(300)]
    await asyncio.gather(*(store.put(payload) for payload in payloads))
    assert await store.missing([digest_of(payload) for payload in payloads]) == ()
    assert commits < 150


async def test_put_given_up_by_its_caller_does_not_disturb_others(store: DocumentStore) -> None:
    puts = [asyncio.ensure_future(store.put(b"%d" % number)) for number in range(50)]
    await asyncio.sleep(0)
    for put in puts[::2]:
        put.cancel()
    kept = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(one, DocumentRef) for one in kept] == [False, True] * 25


async def test_wrong_digest_and_names_that_are_none_are_refused(store: DocumentStore) -> None:
    with pytest.raises(InvalidInput, match="have the digest"):
        await store.put_named(digest_of(b"other"), SMALL)
    for name in ("../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n"):
        with pytest.raises(InvalidInput, match="not a sha256"):
            await store.get(name)


async def test_document_over_the_limit_is_refused_by_its_name(store: DocumentStore) -> None:
    with pytest.raises(LimitExceeded, match="document_bytes_max"):
        await store.put(b"x" * 10_001)


async def test_puts_over_the_bound_of_the_queue_are_refused(tmp_path: Path, clock: Clock) -> None:
    limits = Limits(document_puts_queued_max=3)
    store = await DocumentStore.open(tmp_path / "documents", limits=limits, clock_ms=clock)
    ended = await asyncio.gather(
        *(store.pin([digest_of(b"%d" % number)]) for number in range(10)), return_exceptions=True
    )
    assert sum(isinstance(one, Overloaded) for one in ended) == 6
    await store.put(SMALL)
    await store.close()


@pytest.mark.parametrize("payload", [SMALL, LARGE])
async def test_damaged_document_is_missing_set_aside_and_can_be_put_again(
    store: DocumentStore, tmp_path: Path, payload: bytes
) -> None:
    await store.put(payload)
    damaged = b"X" + payload[1:]
    if payload is LARGE:
        file_of(tmp_path, payload).write_bytes(damaged)
    else:
        with closing(sqlite3.connect(tmp_path / "documents" / "documents.db")) as connection:
            connection.execute("UPDATE documents SET body = ?", (damaged,))
            connection.commit()
    assert await store.get(digest_of(payload)) is None
    assert await store.missing([digest_of(payload)]) == (digest_of(payload),)
    assert store.damaged_total == 1
    kept = tmp_path / "documents" / "damaged" / digest_of(payload)
    assert kept.read_bytes() == damaged
    await store.put(payload)
    assert await store.get(digest_of(payload)) == payload


async def test_lost_file_is_missing(store: DocumentStore, tmp_path: Path) -> None:
    await store.put(LARGE)
    file_of(tmp_path, LARGE).unlink()
    assert await store.missing([digest_of(LARGE)]) == (digest_of(LARGE),)
    assert await store.pin([digest_of(LARGE)]) == frozenset()
    assert await store.get(digest_of(LARGE)) is None


async def test_unreferenced_documents_go_an_hour_after_their_last_touch(
    store: DocumentStore, clock: Clock, tmp_path: Path
) -> None:
    for payload in (SMALL, LARGE, b"needed", b"again", b"pinned"):
        await store.put(payload)
    clock.now_ms += HOUR_MS - 1
    assert await store.collect(nothing) == 0
    await store.put(b"again")
    assert await store.pin([digest_of(b"pinned"), "0" * 64]) == {digest_of(b"pinned")}
    clock.now_ms += 1
    assert await store.collect(lambda digest: digest == digest_of(b"needed")) == 2
    left = (b"needed", b"again", b"pinned")
    assert await store.missing([digest_of(p) for p in (SMALL, LARGE, *left)]) == (
        digest_of(SMALL),
        digest_of(LARGE),
    )
    assert not file_of(tmp_path, LARGE).exists()
    clock.now_ms += HOUR_MS
    assert await store.collect(nothing) == 3


async def test_touch_survives_reopening_and_closed_time_does_not_count(
    tmp_path: Path, clock: Clock
) -> None:
    store = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    await store.put(SMALL)
    clock.now_ms += HOUR_MS - 1
    await store.collect(nothing)
    await store.close()
    clock.now_ms += 100 * HOUR_MS
    store = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    assert await store.collect(nothing) == 0
    clock.now_ms += 1
    assert await store.collect(nothing) == 1
    await store.close()


async def test_files_left_by_a_crash_are_swept(store: DocumentStore, tmp_path: Path) -> None:
    left_over = file_of(tmp_path, b"never acknowledged")
    left_over.parent.mkdir()
    left_over.write_bytes(b"never acknowledged")
    await store.put(LARGE)
    await store.collect(nothing)
    assert not left_over.exists()
    assert await store.get(digest_of(LARGE)) == LARGE


async def test_full_disk_is_reported_and_the_store_goes_on_afterwards(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> frozenset[str]:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise schema.told(Path("documents.db"), error)

    with monkeypatch.context() as patch:
        patch.setattr(store._disk, "commit", full)
        with pytest.raises(StorageFull):
            await store.put(SMALL)
    await store.put(SMALL)
    assert await store.get(digest_of(SMALL)) == SMALL


async def test_failed_sync_is_reported_again_and_for_good(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "sync_folder", failing)
        with pytest.raises(DamagedData, match="Input/output error"):
            await store.put(LARGE)
    with pytest.raises(DamagedData, match="Input/output error"):
        await store.put(SMALL)
    assert await store.has([digest_of(LARGE)]) == frozenset()
    # Whoever owns the store hears of it, and can begin anew.
    assert "Input/output error" in (await store.failed()).message


async def refusal(folder: Path) -> str:
    with pytest.raises(DamagedData) as told:
        await DocumentStore.open(folder, limits=LIMITS, clock_ms=Clock())
    return told.value.message


async def test_table_that_is_gone_while_files_are_there_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    store = await DocumentStore.open(folder, limits=LIMITS, clock_ms=Clock())
    await store.put(LARGE)
    await store.close()
    (folder / "documents.db").unlink()
    assert "is missing although" in await refusal(folder)


@pytest.mark.parametrize("content", [b"", b"a picture of a cat" * 500])
async def test_table_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "documents.db").write_bytes(content)
    assert "documents.db is" in await refusal(folder) or "is corrupt" in await refusal(folder)
    assert (folder / "documents.db").read_bytes() == content


async def test_newer_table_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    store = await DocumentStore.open(folder, limits=LIMITS, clock_ms=Clock())
    await store.close()
    with closing(sqlite3.connect(folder / "documents.db")) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
        connection.commit()
    assert "newer version" in await refusal(folder)


async def test_second_user_is_refused(store: DocumentStore, tmp_path: Path) -> None:
    assert "is in use by process" in await refusal(tmp_path / "documents")
    assert store.damaged_total == 0


async def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "documents").write_bytes(b"")
    assert "documents cannot be used" in await refusal(tmp_path / "documents")


async def test_read_only_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    # The tests may run as root, whom permissions do not stop; an immutable folder stops everybody.
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs root and a file system with immutable files (chattr +i)")
    try:
        assert "cannot be used" in await refusal(folder)
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)


KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from molecule.config import Limits
from molecule.storage.documents import DocumentStore

async def main():
    limits = Limits(document_small_bytes_max=100)
    store = await DocumentStore.open(Path(sys.argv[1]), limits=limits, clock_ms=lambda: 0)
    async def keep(first):
        for number in itertools.count(first, 8):
            payload = b"%d" % number * (1 if number % 2 else 200)
            print(number, (await store.put(payload)).digest, flush=True)
    await asyncio.gather(*(keep(first) for first in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged_before", [1, 30, 200])
async def test_acknowledged_documents_survive_a_kill_in_the_middle_of_puts(
    tmp_path: Path, acknowledged_before: int
) -> None:
    folder = tmp_path / "documents"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(acknowledged_before)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    acknowledged = [line.decode().split()[1] for line in lines if line.endswith(b"\n")]
    assert len(acknowledged) >= acknowledged_before
    store = await DocumentStore.open(folder, limits=LIMITS, clock_ms=Clock())
    assert await store.missing(acknowledged) == ()
    for digest in acknowledged:
        payload = await store.get(digest)
        assert payload is not None
        assert digest_of(payload) == digest
    assert list((folder / "temporary").iterdir()) == []
    await store.close()


async def test_disk_left_alone_makes_no_files_besides_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    await asyncio.to_thread(lambda: DocumentDisk(folder).close())
    assert sorted(path.name for path in folder.iterdir()) == [
        "damaged",
        "documents.db",
        "temporary",
    ]


async def test_large_put_that_is_given_up_leaves_no_file_behind(
    tmp_path: Path, clock: Clock
) -> None:
    store = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    for turns in range(20):
        put = asyncio.ensure_future(store.put(LARGE + b"%d" % turns))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
    await store.close()
    assert list((tmp_path / "documents" / "temporary").iterdir()) == []


async def test_closed_store_takes_nothing_more(tmp_path: Path, clock: Clock) -> None:
    store = await DocumentStore.open(tmp_path / "documents", limits=LIMITS, clock_ms=clock)
    begun = asyncio.ensure_future(store.pin([digest_of(SMALL)]))
    await asyncio.sleep(0)
    await store.close()
    assert await begun == frozenset()
    with pytest.raises(Unavailable):
        await store.pin([digest_of(SMALL)])
