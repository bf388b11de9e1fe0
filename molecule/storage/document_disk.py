"""The disk under the document store: one table of all documents, and a file for each large one.

Everything blocks, and everything but `read` is called by one thread. A document is here when its
row is: the row is committed after the file and its name are synced, and removed before the file is.
What must stay true: a row is never there without its bytes having been durable first.
"""

import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule.model.errors import DamagedData
from molecule.storage import schema

VERSION: Final = 1
_STATEMENTS: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    """CREATE TABLE documents (
        digest TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, touched_at_ms INTEGER NOT NULL,
        body BLOB) WITHOUT ROWID""",
    "CREATE INDEX documents_by_touch ON documents (touched_at_ms)",
)
_DIGITS_PER_FOLDER: Final = 2
_ASKED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Put:
    """A document to keep: small ones bring their bytes, large ones a synced temporary file."""

    digest: str
    size_bytes: int
    body: bytes | None
    file: Path | None


class DocumentDisk:
    """One folder `documents/`. Mutable: owned by the writer's thread of the document store."""

    def __init__(self, folder: Path) -> None:
        """Open or make it; `DamagedData` when it cannot be trusted."""
        self._folder = folder
        self._path = folder / "documents.db"
        self._temporary = folder / "temporary"
        self._damaged = folder / "damaged"
        with schema.storage_errors(folder):
            for path in (folder, self._temporary, self._damaged):
                path.mkdir(mode=0o700, exist_ok=True)
            for left_over in self._temporary.iterdir():
                left_over.unlink()
            if not self._path.exists():
                self._refuse_files_without_table()
                self._create()
            self._connection = self._opened()
            schema.sync_folder(folder)
            schema.sync_folder(folder.parent)

    def close(self) -> None:
        """Give it back."""
        self._connection.close()

    def newest_touch_ms(self) -> int:
        """The latest time that was written, on the clock of the store."""
        with schema.storage_errors(self._path):
            (touched,) = self._connection.execute(
                "SELECT max(touched_at_ms) FROM documents"
            ).fetchone()
            (told,) = self._connection.execute(
                "SELECT max(value) FROM meta WHERE name = 'now_ms'"
            ).fetchone()
        return max(touched or 0, told or 0)

    def write_temporary(self, name: str, payload: bytes) -> Path:
        """A synced file under a name of its own, which is why any thread may call this."""
        path = self._temporary / name
        with schema.storage_errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(payload)
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return path

    def commit(self, puts: Sequence[Put], touches: Collection[str], now_ms: int) -> frozenset[str]:
        """Keep all of `puts` and touch those of `touches` that are here, in one transaction.

        The answer names all digests of both that are here now.
        """
        with schema.storage_errors(self._folder):
            self._name_files(puts)
            here = self._present(touches)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT INTO documents VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE "
                    "SET touched_at_ms = max(touched_at_ms, excluded.touched_at_ms), "
                    "body = excluded.body, size_bytes = excluded.size_bytes",
                    [(put.digest, put.size_bytes, now_ms, put.body) for put in puts],
                )
                self._connection.executemany(
                    "UPDATE documents SET touched_at_ms = max(touched_at_ms, ?) WHERE digest = ?",
                    [(now_ms, digest) for digest in here],
                )
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise
        return frozenset(here) | {put.digest for put in puts}

    def read(self, digest: str) -> bytes | None:
        """The bytes as they are here, unchecked; None when there are none. Any thread may call."""
        with schema.storage_errors(self._path), closing(self._reading()) as connection:
            found = connection.execute(
                "SELECT body FROM documents WHERE digest = ?", (digest,)
            ).fetchone()
            if found is None:
                return None
            if found[0] is not None:
                return bytes(found[0])
            try:
                return self._place(digest).read_bytes()
            except FileNotFoundError:
                return b""

    def set_aside(self, digest: str, *, keep_max: int) -> bool:
        """Move a damaged document out of the way, for examination; True when there was one.

        Of those that lie there the oldest go, so that a dying disk is not filled with them.
        """
        with schema.storage_errors(self._folder):
            # Another put may have mended it since it was read.
            left = self.read(digest)
            if left is None or hashlib.sha256(left).hexdigest() == digest:
                return False
            self._connection.execute("DELETE FROM documents WHERE digest = ?", (digest,))
            (self._damaged / digest).write_bytes(left)
            self._place(digest).unlink(missing_ok=True)
            aside = sorted(self._damaged.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            for path in aside[: max(0, len(aside) - keep_max)]:
                path.unlink(missing_ok=True)
        return True

    def present(self, digests: Collection[str]) -> frozenset[str]:
        """Those that are here."""
        with schema.storage_errors(self._path):
            return frozenset(self._present(digests))

    def old(self, before_ms: int, after: str, limit: int) -> list[str]:
        """One slice of the digests not touched since `before_ms`, in order, behind `after`."""
        with schema.storage_errors(self._path):
            return [
                digest
                for (digest,) in self._connection.execute(
                    "SELECT digest FROM documents WHERE touched_at_ms <= ? AND digest > ? "
                    "ORDER BY digest LIMIT ?",
                    (before_ms, after, limit),
                )
            ]

    def remove(self, digests: Iterable[str], before_ms: int) -> int:
        """Remove those not touched meanwhile, the row before the file; how many."""
        removed: list[str] = []
        with schema.storage_errors(self._folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for digest in digests:
                    gone = self._connection.execute(
                        "DELETE FROM documents WHERE digest = ? AND touched_at_ms <= ?",
                        (digest, before_ms),
                    )
                    if gone.rowcount:
                        removed.append(digest)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise
            for digest in removed:
                self._place(digest).unlink(missing_ok=True)
        return len(removed)

    def sweep(self, prefix: str) -> int:
        """Remove files without a row in one folder: what a crash between the two left; how many."""
        swept = 0
        with schema.storage_errors(self._folder):
            for path in self._folder.glob(f"{prefix}/*"):
                if not self._present([prefix + path.name]):
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept

    def note_time(self, now_ms: int) -> None:
        """Remember the store's clock, so that it goes on from here after a restart."""
        with schema.storage_errors(self._path):
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('now_ms', ?)", (now_ms,))

    def _place(self, digest: str) -> Path:
        return self._folder / digest[:_DIGITS_PER_FOLDER] / digest[_DIGITS_PER_FOLDER:]

    def _name_files(self, puts: Sequence[Put]) -> None:
        changed: set[Path] = set()
        for put in puts:
            if put.file is None:
                continue
            place = self._place(put.digest)
            if not place.parent.exists():
                place.parent.mkdir(mode=0o700)
                changed.add(self._folder)
            put.file.rename(place)
            changed.add(place.parent)
        for folder in sorted(changed):
            schema.sync_folder(folder)

    def _present(self, digests: Collection[str]) -> list[str]:
        asked = sorted(set(digests))
        found: list[str] = []
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            part = asked[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._connection.execute(
                # Only the number of question marks varies.
                "SELECT digest, body IS NULL FROM documents "  # noqa: S608
                f"WHERE digest IN ({marks})",
                part,
            ).fetchall()
            found.extend(
                digest for digest, in_file in rows if not in_file or self._place(digest).is_file()
            )
        return found

    def _refuse_files_without_table(self) -> None:
        if next(self._folder.glob("[0-9a-f][0-9a-f]/*"), None) is not None:
            raise DamagedData(
                f"{self._path} is missing although {self._folder} holds documents; restore it from "
                f"a backup, or replace this node",
                path=str(self._path),
            )

    def _create(self) -> None:
        making = self._path.with_name("documents.db.creating")
        schema.remove_with_journal(making)
        with closing(sqlite3.connect(making, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            for statement in _STATEMENTS:
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('schema', ?)", (VERSION,))
        schema.publish(making, self._path)

    def _opened(self) -> sqlite3.Connection:
        if self._path.stat().st_size == 0:
            raise DamagedData(f"{self._path} is empty; replace this node", path=str(self._path))
        schema.write_journal_again(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for setting in schema.settings():
                connection.execute(setting)
            fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise DamagedData(f"{self._path} is corrupt: {fault}", path=str(self._path))
            found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
            if found is None or found[0] > VERSION:
                raise DamagedData(
                    f"{self._path} was written by a newer version of Molecule; start that again",
                    path=str(self._path),
                )
            connection.execute("UPDATE meta SET value = value WHERE name = 'schema'")
        except BaseException:
            connection.close()
            raise
        return connection

    def _reading(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA query_only=1")
        connection.execute("PRAGMA busy_timeout=5000")
        return connection
