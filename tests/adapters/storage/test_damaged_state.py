"""A state store that cannot be trusted says so and is never replaced by an empty one."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.model.errors import DamagedData, DiskFailed
from molecule.storage import schema
from molecule.storage.state_store import StateStore
from tests.adapters.storage.builders import a_mark, a_payload, a_row, marked

LIMITS = Limits()


async def a_filled_store(path: Path) -> Path:
    store = await StateStore.create(path, limits=LIMITS)
    for index in range(1, 4):
        rows = tuple(a_row(f"{index}-{number}", b"x" * 500) for number in range(200))
        store.stage(marked(index, rows=rows))
        await store.flush()
    await store.close()
    return path


async def refusal(path: Path) -> str:
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(DamagedData) as told:
        await StateStore.open(path, limits=LIMITS)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert str(path.name) in told.value.message or str(path.parent) in told.value.message
    return told.value.message


async def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "must not start empty" in await refusal(tmp_path / "state.db")


async def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match="cannot be used: No such file"):
        await StateStore.open(tmp_path / "nowhere" / "state.db", limits=LIMITS)


async def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    assert "not a file" in await refusal(tmp_path / "state.db")


async def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    assert "is empty" in await refusal(tmp_path / "state.db")


async def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"a picture of a cat" * 500)
    assert "corrupt" in await refusal(tmp_path / "state.db")


async def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    assert "not a database of Molecule" in await refusal(tmp_path / "state.db")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "corrupt" in await refusal(path)


async def test_overwritten_page_is_refused(tmp_path: Path) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = bytes(range(256)) * 16
    path.write_bytes(bytes(content))
    assert "corrupt" in await refusal(path)


@pytest.mark.parametrize("found", [b"x" * 500, b"2-7"], ids=["a value", "a key"])
async def test_a_bit_that_flipped_inside_a_row_is_refused_when_the_rows_are_read(
    tmp_path: Path, found: bytes
) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    content = bytearray(path.read_bytes())
    content[content.index(found)] ^= 1
    path.write_bytes(bytes(content))
    # The pages are sound, so SQLite sees nothing.
    store = await StateStore.open(path, limits=LIMITS)
    with pytest.raises(DamagedData, match="a row of its table 'snapshot' is not what"):
        list(store.snapshot_rows())
    await store.close()


async def test_a_bit_that_flipped_inside_a_payload_is_refused_when_it_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    store = await StateStore.create(path, limits=LIMITS)
    store.stage(marked(1, payloads=(a_payload(inline=b"pay 7 to ann"),)))
    await store.flush()
    await store.close()
    content = bytearray(path.read_bytes())
    content[content.index(b"pay 7") + 4] ^= 1
    path.write_bytes(bytes(content))
    store = await StateStore.open(path, limits=LIMITS)
    with pytest.raises(DamagedData, match="a row of its table 'payloads' is not what"):
        await store.payload("e1", "input")
    with pytest.raises(DamagedData, match="a row of its table 'payloads' is not what"):
        await store.payloads([("e1", "input")])
    await store.close()


async def test_newer_schema_is_refused_by_name_of_the_version(tmp_path: Path) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name='schema'", [schema.VERSION + 1])
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")
    assert f"schema {schema.VERSION + 1}" in await refusal(path)


async def test_lost_table_is_refused(tmp_path: Path) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE payloads")
    assert "lacks tables ['payloads']" in await refusal(path)


async def test_create_never_overwrites(tmp_path: Path) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    with pytest.raises(DamagedData, match="never overwritten"):
        await StateStore.create(path, limits=LIMITS)


async def test_second_user_is_refused_and_names_the_first(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await StateStore.create(path, limits=LIMITS)
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from molecule.config import Limits\n"
        "from molecule.storage.state_store import StateStore\n"
        "asyncio.run(StateStore.open(Path(sys.argv[1]), limits=Limits()))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert other.returncode != 0
    assert "is in use by process" in other.stderr
    store.stage(marked(1, payloads=(a_payload(),)))
    assert await store.flush() == a_mark(1)
    await store.close()


async def test_unwritable_file_is_refused(tmp_path: Path) -> None:
    path = await a_filled_store(tmp_path / "state.db")
    # The tests may run as root, whom permissions do not stop; an immutable file stops everybody.
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs root and a file system with immutable files (chattr +i)")
    try:
        assert "writable" in await refusal(path)
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


async def test_failed_flush_is_reported_again_and_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await StateStore.create(tmp_path / "state.db", limits=LIMITS)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR

    async def failing(_: object) -> None:
        raise error

    store.stage(marked(1))
    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", failing)
        with pytest.raises(DiskFailed, match="could not be read or synced"):
            await store.flush()
    with pytest.raises(DiskFailed, match="could not be read or synced"):
        await store.flush()
    await store.close()
