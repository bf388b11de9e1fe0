"""`state.db`: what entries changed and the place in the log that it stands at, in one transaction.

After a crash the rows are exactly those of the mark that stands beside them, and the mark is none
behind what was told to be on disk.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chaos.crashpoints.script import begin, demand, done
from molecule.config import Limits
from molecule.storage.rows import Batch, Mark, SnapshotRow, TimelineRow
from molecule.storage.state_store import StateStore

STEPS = 16
_FILE = "state.db"
_KEYS = 5


class StateScript:
    """See above."""

    def run(self, folder: Path) -> None:
        """Make the store (1), then flush in each step; pages are given back on the way."""
        asyncio.run(_run(folder / _FILE))

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Open it, compare, flush once more, open it again."""
        if not done and not (folder / _FILE).exists():
            asyncio.run(_made(folder / _FILE))
        else:
            asyncio.run(_check(folder / _FILE, begun, done))


async def _made(path: Path) -> None:
    await (await StateStore.create(path, limits=Limits())).close()


async def _run(path: Path) -> None:
    begin(1)
    store = await StateStore.create(path, limits=Limits())
    done(1)
    for step in range(2, STEPS + 1):
        begin(step)
        store.stage(_batch(step))
        await store.flush()
        done(step)
        if step % 6 == 0:
            await store.shrink(pages=8, keep_percent=0)
    await store.close()


async def _check(path: Path, begun: int, done: int) -> None:
    async with _opened(path) as store:
        step = max(1, store.mark.index)
        demand(max(1, done) <= step <= max(1, begun), f"it stands at {step}")
        await _compare(store, step)
        store.stage(_batch(STEPS + 1))
        await store.flush()
    async with _opened(path) as again:
        demand(again.mark == _mark(STEPS + 1), "a flush after recovery is gone")


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[StateStore]:
    store = await StateStore.open(path, limits=Limits())
    try:
        yield store
    finally:
        # Left open it would keep its thread, and with it this process, for ever.
        await store.close()


async def _compare(store: StateStore, step: int) -> None:
    rows = {row.key: row.value for row in store.snapshot_rows()}
    demand(rows == _rows(step), f"the rows are not those of step {step}")
    for number in range(2, STEPS + 1):
        lines = await store.timeline(_execution(number), limit=10)
        demand(bool(lines) == (number <= step), f"the timeline does not stand at step {step}")


def _mark(step: int) -> Mark:
    return Mark(step, 1, step.to_bytes(32, "big"))


def _execution(step: int) -> str:
    return f"e{step}"


def _changes(step: int) -> dict[bytes, bytes | None]:
    """One key written, another one removed now and then."""
    made: dict[bytes, bytes | None] = {f"k{step % _KEYS}".encode(): bytes([step]) * 700}
    if step % 4 == 0:
        made[f"k{(step + 1) % _KEYS}".encode()] = None
    return made


def _rows(step: int) -> dict[bytes, bytes]:
    made: dict[bytes, bytes] = {}
    for number in range(2, step + 1):
        for key, value in _changes(number).items():
            if value is None:
                made.pop(key, None)
            else:
                made[key] = value
    return made


def _batch(step: int) -> Batch:
    return Batch(
        mark=_mark(step),
        rows=tuple(SnapshotRow("executions", key, value) for key, value in _changes(step).items()),
        timeline=(TimelineRow(_execution(step), step, 0, 1_000 + step, "assigned", b"{}"),),
    )
