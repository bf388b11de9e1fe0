"""The state of a voter on disk: the snapshot by rows, and what people ask for.

`stage` takes what committed entries changed, `flush` writes it in one transaction together with the
place in the log it stands for. What must stay true: the file is the state at exactly one index,
always; and nothing here ever blocks the loop.
"""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite

from molecule.config import Limits
from molecule.model.errors import LimitExceeded, MoleculeError, StorageFull
from molecule.model.retention import RetentionClass
from molecule.storage import queries, schema, sweeping, transaction
from molecule.storage.lock import FolderLock
from molecule.storage.overlay import Overlay
from molecule.storage.row_sums import with_track
from molecule.storage.rows import (
    Batch,
    DeadLetterCount,
    DeadLetterPage,
    DeadLetterQuery,
    DeadLetterRow,
    HistoryPage,
    HistoryQuery,
    HistoryRow,
    Mark,
    PayloadRow,
    SnapshotRow,
    TimelineRow,
)
from molecule.storage.snapshot import SnapshotReader, read_mark
from molecule.storage.sweeping import Usage

_READERS: Final = 2
_TIMELINE_START: Final = (0, -1)
_NAMES_AT_ONCE: Final = 500


class StateStore:
    """One `state.db`, used by one process. Made by `create` or `open`, ended by `close`."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        *,
        lock: FolderLock,
        mark: Mark,
        writer: aiosqlite.Connection,
        readers: Sequence[aiosqlite.Connection],
    ) -> None:
        self._path = path
        self._limits = limits
        self._lock = lock
        self._mark = mark
        self._writer = writer
        self._readers = tuple(readers)
        self._turns = itertools.cycle(self._readers)
        self._overlay = Overlay(mark)
        self._flushing = asyncio.Lock()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._broken: MoleculeError | None = None

    @classmethod
    async def create(cls, path: Path, *, limits: Limits) -> Self:
        """A new, empty store at `path`; `DamagedData` when something is there."""
        await asyncio.to_thread(schema.create, path)
        return await cls.open(path, limits=limits)

    @classmethod
    async def open(cls, path: Path, *, limits: Limits) -> Self:
        """The store at `path`, checked.

        `DamagedData` when it is missing, corrupt, cut short, foreign, newer, locked or not
        writable: a store that cannot be trusted is never replaced by an empty one.
        """
        lock = FolderLock.take(path.parent, path.name + ".lock")
        opened: list[aiosqlite.Connection] = []
        try:
            await asyncio.to_thread(schema.check, path)
            with schema.storage_errors(path):
                for number in range(1 + _READERS):
                    opened.append(await aiosqlite.connect(path, isolation_level=None))
                    for setting in schema.settings():
                        await opened[-1].execute(setting)
                    if number:
                        await opened[-1].execute("PRAGMA query_only=1")
                mark = await read_mark(opened[0])
        except BaseException:
            for connection in opened:
                await connection.close()
            lock.release()
            raise
        return cls(path, limits, lock=lock, mark=mark, writer=opened[0], readers=opened[1:])

    async def close(self) -> None:
        """Give everything back. What was staged and not flushed is in the log, as after a crash."""
        async with self._flushing:
            for connection in (self._writer, *self._readers):
                await connection.close()
            self._lock.release()

    # ---- writing

    @property
    def mark(self) -> Mark:
        """The place in the log that is on disk; the journal may be cut below it."""
        return self._mark

    @property
    def staged_rows(self) -> int:
        """How many rows wait for a flush."""
        return self._overlay.row_count

    @property
    def is_full(self) -> bool:
        """True when a bound on what waits was reached: `room` before more entries are applied."""
        return (
            self._overlay.row_count >= self._limits.staged_rows_max
            or self._overlay.size_bytes >= self._limits.staged_bytes_max
        )

    def stage(self, batch: Batch) -> None:
        """Take what entries changed: readable at once, on disk after a `flush`. Never waits."""
        self._overlay.stage(batch)
        if self.is_full:
            self._roomy.clear()

    async def room(self) -> None:
        """Return when there is room for more; somebody else must be flushing."""
        while self.is_full and self._broken is None:
            await self._roomy.wait()
        if self._broken is not None:
            raise self._broken

    async def flush(self) -> Mark:
        """Write all up to the last staged mark in one transaction; the mark that is now on disk.

        `StorageFull` leaves all of it staged, to be tried again. Any other failure is for good:
        nobody knows what the disk holds, so every later flush says the same and the node must stop.
        """
        async with self._flushing:
            if self._broken is not None:
                raise self._broken
            batches = self._overlay.ready()
            if not batches:
                return self._mark
            mark = batches[-1].mark or self._mark
            statements = await asyncio.to_thread(transaction.merged, batches, mark)
            try:
                with schema.storage_errors(self._path):
                    await self._write(statements)
            except StorageFull:
                raise
            except MoleculeError as error:
                self._broken = error
                self._roomy.set()
                raise
            self._overlay.settle(batches)
            self._mark = mark
            if not self.is_full:
                self._roomy.set()
            return mark

    async def _write(self, statements: Iterable[transaction.Statement]) -> None:
        # An earlier flush may have been cancelled half way; its statements stand before these in
        # the queue of the writer's thread, so a rollback here ends whatever it left open.
        await self._writer.rollback()
        await self._writer.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                await self._writer.executemany(statement.sql, statement.values)
            await self._writer.execute("COMMIT")
        except Exception:
            await self._writer.rollback()
            raise

    async def sweep(self, horizons: Mapping[RetentionClass, int], *, limit: int) -> dict[str, int]:
        """Delete rows of at most `limit` executions behind the horizons; how many, by class.

        Empty: all is swept. Every entry that a horizon counts on must have been flushed before.
        """
        async with self._flushing:
            if self._broken is not None:
                raise self._broken
            for unit in sweeping.UNITS:
                before_ms = horizons[unit.retention_class]
                if not before_ms:
                    continue
                kept = await self._all(sweeping.PLACE, (unit.name,))
                place, place_sum = sweeping.place(kept[0][0] if kept else "")
                self._whole("meta", (unit.name, place, place_sum))
                found = await self._all(
                    *sweeping.chosen(unit, before_ms=before_ms, place=place, limit=limit)
                )
                if found:
                    with schema.storage_errors(self._path):
                        await self._write(
                            sweeping.deletes(unit, [(row[0], row[1]) for row in found])
                        )
                    return {unit.retention_class.value: len(found)}
        return {}

    async def shrink(self, *, pages: int, keep_percent: int) -> bool:
        """Give free pages beyond `keep_percent` of the file back to the disk, at most `pages`.

        True when more could be given. Free pages are used again anyway, so this may be left out.
        """
        async with self._flushing:
            with schema.storage_errors(self._path):
                (count,) = (await self._on_writer("PRAGMA page_count"))[0]
                (free,) = (await self._on_writer("PRAGMA freelist_count"))[0]
                spare = free - count * keep_percent // 100
                (mode,) = (await self._on_writer("PRAGMA auto_vacuum"))[0]
                if spare <= 0 or mode != schema.INCREMENTAL:
                    return False
                # As a script: a statement that gives no rows would be stepped once, for one page.
                await self._writer.executescript(f"PRAGMA incremental_vacuum({min(spare, pages)})")
                if not keep_percent:
                    # Somebody needs the room now: what waits in the WAL is put in its place.
                    await self._on_writer("PRAGMA wal_checkpoint(TRUNCATE)")
                return bool(spare > pages)

    async def _on_writer(self, sql: str) -> list[tuple[Any, ...]]:
        async with self._writer.execute(sql) as cursor:
            return [tuple(row) for row in await cursor.fetchall()]

    # ---- reading

    async def usage(self) -> tuple[Usage, ...]:
        """What each class takes, as of the last flush. Reads everything: ask seldom."""
        return tuple(Usage(*row) for row in await self._all(sweeping.USAGE, ()))

    async def oldest(
        self, name: RetentionClass, *, from_ms: int, before_ms: int, count: int
    ) -> int | None:
        """When the last of the `count` oldest of a class ended within these instants, if any."""
        asked = sweeping.oldest(name, from_ms=from_ms, before_ms=before_ms, count=count)
        ((at_ms,),) = await self._all(*asked)
        return None if at_ms is None else int(at_ms)

    async def ended_count(self, name: RetentionClass, *, from_ms: int, before_ms: int) -> int:
        """How many executions with something of a class ended within these instants."""
        asked = sweeping.ended_count(name, from_ms=from_ms, before_ms=before_ms)
        ((count,),) = await self._all(*asked)
        return int(count)

    def snapshot_rows(self) -> Iterator[SnapshotRow]:
        """All objects of the replicated state, for a replica that starts.

        Read as they are asked for, so that they are not in memory twice. Blocks: for a thread.
        """
        with (
            schema.storage_errors(self._path),
            closing(sqlite3.connect(self._path, isolation_level=None)) as connection,
        ):
            for row in connection.execute("SELECT table_name, key, value, sum FROM snapshot"):
                yield SnapshotRow(*schema.whole(self._path, "snapshot", row))

    async def payload(self, execution: str, slot: str) -> PayloadRow | None:
        """The bytes or the digest in this slot; what was staged is seen at once."""
        staged = self._overlay.payload(execution, slot)
        if staged is not None:
            return None if staged.inline is None and staged.digest is None else staged
        found = await self._all(queries.PAYLOAD, (execution, slot))
        return self._payload(found[0]) if found else None

    def _payload(self, found: tuple[Any, ...]) -> PayloadRow:
        return PayloadRow(*self._whole("payloads", found))

    async def payloads(
        self, names: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], PayloadRow]:
        """Of these executions and slots what is there, as `payload` gives it, read together."""
        rows = {name: staged for name in names if (staged := self._overlay.payload(*name))}
        left = [name for name in names if name not in rows]
        for start in range(0, len(left), _NAMES_AT_ONCE):
            part = left[start : start + _NAMES_AT_ONCE]
            values = [value for name in part for value in name]
            for row in await self._all(queries.payloads(len(part)), values):
                rows[row[0], row[1]] = self._payload(row)
        return {
            name: row
            for name, row in rows.items()
            if row.inline is not None or row.digest is not None
        }

    async def timeline(
        self, execution: str, *, after: tuple[int, int] = _TIMELINE_START, limit: int
    ) -> tuple[TimelineRow, ...]:
        """Its events behind the place `after`, oldest first; what was staged is seen at once."""
        self._check_limit(limit)
        # The overlay first: a flush between the two reads then shows a row twice, never not at all.
        staged = self._overlay.timeline(execution)
        found = await self._all(queries.TIMELINE, (execution, *after, limit))
        rows = {(row[1], row[2]): TimelineRow(*self._whole("timeline", row)) for row in found}
        rows.update(
            {place: row for row in staged if (place := (row.log_index, row.position)) > after}
        )
        return tuple(rows[place] for place in sorted(rows)[:limit])

    async def history_one(self, execution: str) -> HistoryRow | None:
        """How this execution ended; what was staged is seen at once. None: not ended, or purged."""
        staged = self._overlay.history(execution)
        if staged is not None:
            return staged
        found = await self._all(queries.HISTORY_ONE, (execution,))
        return self._history(found[0]) if found else None

    def _history(self, found: tuple[Any, ...]) -> HistoryRow:
        row = queries.history_row(found)
        self._whole("history", (*with_track((*row[:7], row.body), row.track), found[-1]))
        return row

    def _whole(self, table: str, found: Sequence[Any]) -> Sequence[Any]:
        return schema.whole(self._path, table, found)

    async def history(self, query: HistoryQuery, *, cursor: str = "", limit: int) -> HistoryPage:
        """Ended executions, newest first; what was staged is seen at once."""
        self._check_limit(limit)
        # The overlay first, as for a timeline; a row that is in both is one.
        staged = [row for row in self._overlay.ended() if queries.is_found(row, query, cursor)]
        found = map(self._history, await self._all(*queries.history(query, cursor, limit)))
        rows = {row.execution: row for row in (*found, *staged)}
        ordered = sorted(rows.values(), key=queries.history_place, reverse=True)
        page = tuple(ordered[:limit])
        return HistoryPage(page, queries.history_cursor(page[-1]) if len(ordered) > limit else "")

    async def dead_letters(
        self, query: DeadLetterQuery, *, cursor: str = "", limit: int
    ) -> DeadLetterPage:
        """Dead letters, newest first; what was staged is seen at once."""
        self._check_limit(limit)
        staged = [
            row
            for row in self._overlay.dead_letters()
            if queries.is_letter_found(row, query, cursor)
        ]
        read = await self._all(*queries.dead_letters(query, cursor, limit))
        found = (DeadLetterRow(*self._whole("dead_letters", row)) for row in read)
        rows = {queries.letter_place(row): row for row in (*found, *staged)}
        ordered = [rows[place] for place in sorted(rows, reverse=True)]
        page = tuple(ordered[:limit])
        more = len(ordered) > limit
        return DeadLetterPage(page, queries.dead_letter_cursor(page[-1]) if more else "")

    async def dead_letter(self, log_index: int, position: int) -> DeadLetterRow | None:
        """One dead letter by its key; what was staged is seen at once."""
        staged = self._overlay.dead_letter(log_index, position)
        if staged is not None:
            return staged
        found = await self._all(queries.DEAD_LETTER_ONE, (log_index, position))
        return DeadLetterRow(*self._whole("dead_letters", found[0])) if found else None

    async def dead_letter_counts(self, process: str | None = None) -> tuple[DeadLetterCount, ...]:
        """How many dead letters each process has of each cause, as of the last flush."""
        found = await self._all(queries.COUNTS, (process,))
        return tuple(DeadLetterCount(*row) for row in found)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SnapshotReader]:
        """A consistent copy of the file as of the last flush, readable while flushes go on."""
        with schema.storage_errors(self._path):
            reader = await SnapshotReader.open(self._path, self._limits)
            try:
                yield reader
            finally:
                await reader.close()

    async def _all(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with schema.storage_errors(self._path):
            # One word to the connection's thread: execute, fetch and close would be three.
            found = await next(self._turns).execute_fetchall(sql, values)
            return [tuple(row) for row in found]

    def _check_limit(self, limit: int) -> None:
        if limit > self._limits.page_size_max:
            raise LimitExceeded(
                limit="page_size_max", allowed=self._limits.page_size_max, asked=limit
            )
