"""What a sync that failed left in memory is durable before anybody reads it from there."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from molecule.model.errors import DamagedData
from molecule.storage import schema


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """As a killed process leaves it: a transaction stands in the journal beside it."""
    made = tmp_path / "made.db"
    schema.create(made)
    connection = sqlite3.connect(made, isolation_level=None)
    connection.execute("INSERT INTO meta VALUES ('left behind', 1)")
    path = tmp_path / "state.db"
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"made.db{suffix}", tmp_path / f"state.db{suffix}")
    connection.close()
    return path


def test_the_journal_is_written_and_synced_again_before_it_is_read(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = database.with_name("state.db-wal")
    before = journal.read_bytes()
    assert before
    os.utime(journal, ns=(1, 1))
    synced: list[tuple[Path, int]] = []
    really_sync = os.fsync

    def sync(descriptor: int) -> None:
        really_sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path, path.stat().st_mtime_ns))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        schema.write_journal_again(database)

    ((path, written_at),) = synced
    assert path == journal
    assert written_at > 1
    assert journal.read_bytes() == before


def test_opening_begins_with_it(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(schema, "write_journal_again", refuse)
    with pytest.raises(DamagedData, match="Input/output error"):
        schema.check(database)


def test_a_database_without_a_journal_needs_nothing(tmp_path: Path) -> None:
    schema.create(tmp_path / "state.db")
    schema.write_journal_again(tmp_path / "state.db")
    assert not (tmp_path / "state.db-wal").exists()
