"""The state store as a stream of chunks, and a new state store from one.

The reader holds one read transaction, so the chunks are the file at one index while flushes go on.
The sink builds a file beside its place; what must stay true: under the final name there is never
anything but a whole, checked and synced copy.
"""

import asyncio
import hashlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite

from molecule.config import Limits
from molecule.model.errors import DamagedData
from molecule.storage import row_sums, schema
from molecule.storage.rows import Mark
from molecule.wire.v1 import snapshot_pb2

_ROWS_AT_ONCE: Final = 200
_FIELDS: Final[dict[type, str]] = {int: "integers", bytes: "blobs", str: "texts"}
_NULL: Final = ord("n")
_LETTERS: Final = {int: ord("i"), bytes: ord("b"), str: ord("t"), type(None): _NULL}


async def read_mark(connection: aiosqlite.Connection) -> Mark:
    """The place in the log that this database stands for."""
    async with connection.execute(
        "SELECT name, value FROM meta WHERE name IN ('index', 'term', 'hash')"
    ) as cursor:
        found: dict[str, Any] = {str(name): value for name, value in await cursor.fetchall()}
    try:
        return Mark(int(found["index"]), int(found["term"]), bytes(found["hash"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedData(
            "the state store does not say for which place in the log it stands"
        ) from error


class SnapshotReader:
    """One read transaction of a state store. `close` it soon: SQLite keeps old pages meanwhile."""

    def __init__(self, connection: aiosqlite.Connection, mark: Mark, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self.mark = mark

    @classmethod
    async def open(cls, path: Path, limits: Limits) -> Self:
        """Begin the transaction; from here on nothing that is flushed later is seen."""
        connection = await aiosqlite.connect(path, isolation_level=None)
        try:
            for setting in schema.settings():
                await connection.execute(setting)
            await connection.execute("BEGIN")
            mark = await read_mark(connection)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, mark, limits)

    async def close(self) -> None:
        """End the transaction."""
        await self._connection.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The mark first, then all rows, then what is needed to check them."""
        header = snapshot_pb2.SnapshotHeader(
            index=self.mark.index, term=self.mark.term, hash=self.mark.hash, schema=schema.VERSION
        )
        total = hashlib.sha256()
        first = snapshot_pb2.SnapshotChunk(header=header).SerializeToString()
        total.update(first)
        yield first
        counts: dict[str, int] = {}
        for table, columns in schema.TABLES.items():
            counts[table] = 0
            # The names come from our own table of tables, never from outside.
            sql = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608
            async with self._connection.execute(sql) as cursor:
                while found := list(await cursor.fetchmany(_ROWS_AT_ONCE)):
                    counts[table] += len(found)
                    for chunk in await asyncio.to_thread(self._encode, table, found):
                        total.update(chunk)
                        yield chunk
        trailer = snapshot_pb2.SnapshotTrailer(rows=counts, sha256=total.digest())
        yield snapshot_pb2.SnapshotChunk(trailer=trailer).SerializeToString()

    def _encode(self, table: str, found: Sequence[Any]) -> list[bytes]:
        columns = tuple(zip(*found, strict=True))
        is_large = sum(map(_size_bytes, columns)) > self._limits.snapshot_chunk_bytes_max
        if is_large and len(found) > 1:
            half = len(found) // 2
            return [*self._encode(table, found[:half]), *self._encode(table, found[half:])]
        rows = snapshot_pb2.SnapshotRows(
            table=table, count=len(found), columns=[_column(values) for values in columns]
        )
        return [snapshot_pb2.SnapshotChunk(rows=rows).SerializeToString()]


class SnapshotSink:
    """Builds the state store of a new generation; `finish` puts it in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._filling = path.with_name(path.name + ".filling")
        self._connection: sqlite3.Connection | None = None
        self._total = hashlib.sha256()
        self._counts = dict.fromkeys(schema.TABLES, 0)
        self._header: snapshot_pb2.SnapshotHeader | None = None
        self._trailer: snapshot_pb2.SnapshotTrailer | None = None

    async def write(self, chunk: bytes) -> None:
        """Take the next chunk; `DamagedData` when it is not one, or not in its place."""
        await asyncio.to_thread(self._write, chunk)

    async def finish(self) -> Mark:
        """Check, sync and publish; only after this the file exists. The mark that it stands for."""
        return await asyncio.to_thread(self._finish)

    async def abort(self) -> None:
        """Drop what was written so far; harmless after `finish`."""
        await asyncio.to_thread(self._drop)

    def _write(self, chunk: bytes) -> None:
        parsed = snapshot_pb2.SnapshotChunk()
        try:
            parsed.ParseFromString(chunk)
        except Exception as error:
            raise self._refused("a chunk cannot be decoded") from error
        if self._trailer is not None:
            raise self._refused("there are chunks behind the last one")
        kind = parsed.WhichOneof("kind")
        if (self._header is None) != (kind == "header"):
            raise self._refused("the chunks are not in their order")
        with schema.storage_errors(self._filling):
            match kind:
                case "header":
                    self._begin(parsed.header)
                case "rows":
                    self._insert(parsed.rows)
                case "trailer":
                    self._trailer = parsed.trailer
                    return
                case _:
                    raise self._refused("a chunk is of an unknown kind")
        self._total.update(chunk)

    def _begin(self, header: snapshot_pb2.SnapshotHeader) -> None:
        if header.schema > schema.VERSION:
            raise DamagedData(
                f"the snapshot for {self._path} has the newer schema {header.schema}; this version "
                f"reads up to {schema.VERSION}: upgrade this node first",
                path=str(self._path),
            )
        self._header = header
        schema.remove_with_journal(self._filling)
        # A crash while filling throws the file away, so it needs neither journal nor syncs until
        # the end.
        self._connection = sqlite3.connect(
            self._filling, isolation_level=None, check_same_thread=False
        )
        schema.build(self._connection)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("BEGIN")

    @property
    def _schema(self) -> int:
        """Of the node that sends; it may be older than this one."""
        return self._header.schema if self._header is not None else schema.VERSION

    def _insert(self, rows: snapshot_pb2.SnapshotRows) -> None:
        columns = schema.TABLES.get(rows.table)
        values = [_values(column, rows.count) for column in rows.columns]
        if rows.table in schema.SUMS_ADDED and self._schema < schema.SUMS_VERSION:
            values.append([None] * rows.count)
        fits = columns is not None and len(values) == len(columns)
        if self._connection is None or not fits or any(len(one) != rows.count for one in values):
            raise self._refused(f"rows of {rows.table!r} do not fit its columns")
        found = list(zip(*values, strict=True))
        if rows.table in row_sums.SUMMED and not all(map(row_sums.is_whole, found)):
            raise self._refused(f"a row of {rows.table!r} is damaged where it comes from")
        places = ", ".join("?" * len(values))
        # The name was looked up in our own table of tables above.
        self._connection.executemany(
            f"INSERT INTO {rows.table} VALUES ({places})",  # noqa: S608
            found,
        )
        self._counts[rows.table] += rows.count

    def _finish(self) -> Mark:
        header, trailer, connection = self._header, self._trailer, self._connection
        if header is None or trailer is None or connection is None:
            raise self._refused("the stream ended before its last chunk")
        if dict(trailer.rows) != self._counts:
            raise self._refused("rows are missing")
        if trailer.sha256 != self._total.digest():
            raise self._refused("the checksum is wrong")
        mark = Mark(header.index, header.term, header.hash)
        with schema.storage_errors(self._filling):
            connection.executemany(
                "UPDATE meta SET value = ? WHERE name = ?",
                [(mark.index, "index"), (mark.term, "term"), (mark.hash, "hash")],
            )
            connection.execute("COMMIT")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            self._connection = None
            with closing(sqlite3.connect(self._filling, isolation_level=None)) as checked:
                fault = checked.execute("PRAGMA quick_check(1)").fetchone()[0]
                if fault != "ok":
                    raise self._refused(f"the copy is corrupt: {fault}")
            schema.publish(self._filling, self._path)
        return mark

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        schema.remove_with_journal(self._filling)

    def _refused(self, what: str) -> DamagedData:
        return DamagedData(
            f"the snapshot for {self._path} was refused: {what}; it will be sent again",
            path=str(self._path),
        )


def _size_bytes(values: Sequence[Any]) -> int:
    if set(map(type, values)) <= {bytes, str}:
        return sum(map(len, values))
    return sum(len(value) for value in values if isinstance(value, bytes | str))


def _column(values: Sequence[Any]) -> snapshot_pb2.SnapshotColumn:
    column = snapshot_pb2.SnapshotColumn()
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= set(_FIELDS):
        getattr(column, _FIELDS[kinds.pop()]).extend(values)
        return column
    column.kinds = bytes(_LETTERS[type(each)] for each in values)
    for kind, name in _FIELDS.items():
        getattr(column, name).extend(value for value in values if isinstance(value, kind))
    return column


def _values(column: snapshot_pb2.SnapshotColumn, count: int) -> Sequence[Any]:
    """The values again; of another number than `count` when the column is not whole."""
    if not column.kinds:
        of_kind = (column.integers, column.blobs, column.texts)
        return next((list(values) for values in of_kind if len(values) == count), ())
    left = {_LETTERS[kind]: iter(getattr(column, name)) for kind, name in _FIELDS.items()}
    left[_NULL] = itertools.repeat(None)
    try:
        return [next(left[letter]) for letter in column.kinds]
    except (KeyError, StopIteration):
        return ()
