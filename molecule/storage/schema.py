"""The tables of `state.db` and the checks before a file is trusted.

A new file is made beside its place and put there complete, so a file that exists was once whole: an
empty or half one is damage, and damage stops the node. All functions block; they run in threads.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from molecule.model.errors import DamagedData, DiskFailed, MoleculeError, StorageFull
from molecule.storage import row_sums

SUMS_VERSION: Final = 2
"""Since then timelines, history and dead letters have sums, and the cursors of a sweep."""

VERSION: Final = SUMS_VERSION
INCREMENTAL: Final = 2
"""The auto-vacuum mode in which `StateStore.shrink` can give pages back."""

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "snapshot": ("table_name", "key", "value", "sum"),
    "timeline": ("execution", "log_index", "position", "at_ms", "event", "body", "sum"),
    "history": (
        "execution",
        "process",
        "environment",
        "state",
        "submitted_at_ms",
        "ended_at_ms",
        "log_index",
        "body",
        "sum",
    ),
    "history_track": ("execution", "place", "name", "value", "ended_at_ms"),
    "payloads": ("execution", "slot", "inline", "digest", "size_bytes", "sum"),
    "dead_letters": (
        "log_index",
        "position",
        "at_ms",
        "process",
        "environment",
        "execution",
        "document",
        "step",
        "error_class",
        "error_code",
        "error",
        "inline",
        "digest",
        "size_bytes",
        "sum",
    ),
}
"""Every table that a snapshot carries, with its columns in the order in which rows are written."""

SUMS_ADDED: Final = ("timeline", "history", "dead_letters")
"""Tables whose last column came with `SUMS_VERSION`; NULL in rows from before."""

_STATEMENTS: Final = (
    """CREATE TABLE meta (
        name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE snapshot (
        table_name TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (table_name, key)) WITHOUT ROWID""",
    """CREATE TABLE timeline (
        execution TEXT NOT NULL, log_index INTEGER NOT NULL, position INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, event TEXT NOT NULL, body BLOB NOT NULL, sum INTEGER,
        PRIMARY KEY (execution, log_index, position)) WITHOUT ROWID""",
    """CREATE TABLE history (
        execution TEXT PRIMARY KEY, process TEXT NOT NULL, environment TEXT NOT NULL,
        state TEXT NOT NULL, submitted_at_ms INTEGER NOT NULL, ended_at_ms INTEGER NOT NULL,
        log_index INTEGER NOT NULL, body BLOB NOT NULL, sum INTEGER)""",
    "CREATE INDEX history_by_end ON history (ended_at_ms, execution)",
    "CREATE INDEX history_by_process ON history (process, ended_at_ms, execution)",
    "CREATE INDEX history_by_state ON history (state, ended_at_ms, execution)",
    """CREATE TABLE history_track (
        execution TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        ended_at_ms INTEGER NOT NULL,
        PRIMARY KEY (execution, place)) WITHOUT ROWID""",
    "CREATE INDEX history_by_track ON history_track (name, value, ended_at_ms, execution)",
    """CREATE TABLE payloads (
        execution TEXT NOT NULL, slot TEXT NOT NULL, inline BLOB, digest TEXT,
        size_bytes INTEGER NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (execution, slot)) WITHOUT ROWID""",
    """CREATE TABLE dead_letters (
        log_index INTEGER NOT NULL, position INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        process TEXT NOT NULL, environment TEXT NOT NULL, execution TEXT NOT NULL,
        document TEXT NOT NULL, step TEXT NOT NULL, error_class TEXT NOT NULL,
        error_code TEXT NOT NULL, error TEXT NOT NULL, inline BLOB, digest TEXT,
        size_bytes INTEGER NOT NULL, sum INTEGER,
        PRIMARY KEY (log_index, position))""",
    """CREATE INDEX dead_letters_by_cause
        ON dead_letters (process, error_class, error_code, log_index, position)""",
    """CREATE INDEX dead_letters_by_execution
        ON dead_letters (execution, log_index, position)""",
)

# FULL, not NORMAL: with NORMAL a loss of power took back acknowledged transactions.
_SETTINGS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA cache_size=-4096",
    "PRAGMA journal_size_limit=67108864",
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def settings() -> tuple[str, ...]:
    """What every connection is told first."""
    return _SETTINGS


def create(path: Path) -> None:
    """A new, empty, synced `state.db` at `path`; `DamagedData` when there is one already."""
    if path.exists():
        raise DamagedData(f"{path} exists already and is never overwritten", path=str(path))
    making = path.with_name(path.name + ".creating")
    with storage_errors(path):
        remove_with_journal(making)
        with closing(sqlite3.connect(making, isolation_level=None)) as connection:
            build(connection)
        publish(making, path)


def build(connection: sqlite3.Connection) -> None:
    """Make all tables in an empty database and stamp it with the version."""
    # Before the first table: later only a rewrite of the whole file would change it.
    connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in _SETTINGS:
        connection.execute(statement)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _STATEMENTS:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("schema", VERSION), ("index", 0), ("term", 0), ("hash", b"")],
    )
    connection.execute("COMMIT")


def publish(making: Path, path: Path) -> None:
    """Give a closed, complete database its final name, durably."""
    sync_file(making)
    making.rename(path)
    sync_folder(path.parent)


def check(path: Path) -> None:
    """Return when the file is whole, writable and of our version, else `DamagedData`.

    One of an earlier version is made one of ours; what is in it stays as it is.
    """
    if not path.is_file():
        raise DamagedData(
            f"{path} is missing or not a file; this node lost its state and must not start empty: "
            f"restore its data folder, or replace the node",
            path=str(path),
        )
    if path.stat().st_size == 0:
        raise DamagedData(f"{path} is empty; {_RESTORE}", path=str(path))
    with storage_errors(path):
        write_journal_again(path)
    with storage_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        version = _version(connection, path)
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise DamagedData(f"{path} is corrupt: {fault}; {_RESTORE}", path=str(path))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        # Beginning alone writes nothing, so a read-only file would be noticed at the first flush
        # only.
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (VERSION,))
        for table in SUMS_ADDED if version < SUMS_VERSION else ():
            connection.execute(f"ALTER TABLE {table} ADD COLUMN sum INTEGER")
        connection.execute("COMMIT")


def whole(path: Path, table: str, row: Sequence[Any]) -> Sequence[Any]:
    """The row without its sum; `DamagedData` when it is not what was written."""
    if not row_sums.is_whole(row):
        raise DamagedData(
            f"{path} is corrupt: a row of its table {table!r} is not what was written; {_RESTORE}",
            path=str(path),
        )
    return row[:-1]


_RESTORE: Final = (
    "stop this node, keep the folder for examination, and replace the node or restore its backup"
)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    known = {
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    if "meta" not in known:
        raise DamagedData(f"{path} is not a database of Molecule; {_RESTORE}", path=str(path))
    found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    version = found[0] if found else None
    if not isinstance(version, int) or version < 1:
        raise DamagedData(f"{path} names no schema version; {_RESTORE}", path=str(path))
    if version > VERSION:
        raise DamagedData(
            f"{path} was written by a newer version of Molecule (schema {version}, this one reads "
            f"up to {VERSION}); start the newer version again",
            path=str(path),
            schema=version,
            schema_known=VERSION,
        )
    missing = sorted(set(TABLES) - known)
    if missing:
        raise DamagedData(f"{path} lacks tables {missing}; {_RESTORE}", path=str(path))
    return version


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of disk and database into `StorageFull` and `DamagedData`."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(path, error) from error
    except OSError as error:
        raise told(path, error) from error


def told(path: Path, error: sqlite3.Error | OSError) -> MoleculeError:
    """The error of our tree for an error of the disk or the database at `path`."""
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return StorageFull(f"the disk of {path} is full", path=str(path))
        kind = DiskFailed if error.errno == errno.EIO else DamagedData
        return kind(f"{path} cannot be used: {error.strerror or error}", path=str(path))
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        # The shared memory beside the WAL could not grow: nothing was written yet.
        return StorageFull(f"the disk of {path} is full", path=str(path))
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StorageFull(f"the disk of {path} is full", path=str(path))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            what = (
                "cannot be written; make the file, its folder and its disk writable for this user"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            what = "is locked by another process; stop that process first"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            what = f"is corrupt; {_RESTORE}"
        case sqlite3.SQLITE_IOERR:
            what = "could not be read or synced; check the disk before this node is started again"
            return DiskFailed(f"{path} {what} (SQLite: {error})", path=str(path))
        case _:
            what = "cannot be used"
    return DamagedData(f"{path} {what} (SQLite: {error})", path=str(path))


def write_journal_again(path: Path) -> None:
    """Make what stands in the journal of a database durable, before anybody reads it from there.

    After a sync that failed the kernel takes pages for clean that never reached the disk: SQLite
    would find its transactions in them, copy them over the database, and a loss of power would
    leave half of that. Only new writes of the same bytes make a later sync true.
    """
    journal = path.with_name(f"{path.name}-wal")
    if not journal.exists():
        return
    with journal.open("r+b", buffering=0) as file:
        rest = memoryview(file.read())
        file.seek(0)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Return when the file's bytes are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in the folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_with_journal(path: Path) -> None:
    """Remove a database and what SQLite keeps beside it; nothing there is no error."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
