"""A node's copy of the cluster state: from a committed entry to what the voter keeps and tells.

The Raft driver calls `apply` for each committed entry, in order. What changed is staged for storage
at once and written soon, in one transaction with the index it is true for; that is the snapshot.
Waiters and listeners are told after the entry took effect. Nothing here decides what an entry
means.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from molecule.cluster import tokens
from molecule.cluster.apply import StateMachine
from molecule.cluster.changes import EntryResult
from molecule.cluster.outcome import Outcome
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import Overloaded, StaleToken, StorageFull
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.node import rows
from molecule.storage.rows import Batch, Mark, PayloadRow

Listener = Callable[[EntryResult], None]

_SETTLED = frozenset(
    {
        ExecutionState.COMPLETED,
        ExecutionState.FAILED,
        ExecutionState.CANCELLED,
        ExecutionState.IN_DOUBT,
        ExecutionState.QUARANTINED,
        ExecutionState.HELD,
        ExecutionState.COMPENSATION_FAILED,
    }
)
"""States in which a caller who waits for the result gets an answer."""


class Settled(NamedTuple):
    """How an execution stands when its caller gets an answer.

    `view` is what history tells of it and `result` the row of its result, both as of the entry that
    ended it: nobody needs to read them again. None: it is parked.
    """

    state: ExecutionState
    view: Mapping[str, Any] | None = None
    result: PayloadRow | None = None


class Store(Protocol):
    """The part of the state store that the replica needs."""

    def stage(self, batch: Batch) -> None:
        """Make readable at once; on disk with the next flush."""
        ...

    async def flush(self) -> Mark | None:
        """Write all that is staged up to the last mark, in one transaction; the mark, if any."""
        ...


class Replica:
    """Owned by the loop of the node process."""

    def __init__(self, machine: StateMachine, store: Store, limits: Limits) -> None:
        self._machine = machine
        self._store = store
        self._limits = limits
        self.on_full: Callable[[], None] = lambda: None
        """Called when a flush found the disk full; it is tried again."""
        self._listeners: list[Listener] = []
        self._waiters: dict[str, list[asyncio.Future[Settled]]] = {}
        self._for_answers: set[asyncio.Future[Settled]] = set()
        self._waiting = 0
        self._applied = asyncio.Event()
        self._unflushed = 0
        self._flush_now = asyncio.Event()

    @property
    def state(self) -> ClusterState:
        """For reading, between two entries; nobody but apply changes it."""
        return self._machine.state

    def has_time(self) -> bool:
        """Whether the time of the cluster has begun: with the first claim to lead it."""
        return self._machine.state.time_ms > 0

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every entry that took effect, in order."""
        self._listeners.append(listener)

    def apply(self, index: int, term: int, data: bytes) -> tuple[int, tuple[Outcome, ...]]:
        """Apply one committed entry; empty data is a new leader's no-operation."""
        result = self._machine.apply_entry(index, term, data)
        changes = result.changes
        staged = rows.batch(changes)
        self._store.stage(staged)
        self._unflushed += staged.row_count + len(changes.touched)
        if self._unflushed >= self._limits.flush_rows_max:
            self._flush_now.set()
        self._applied.set()
        self._wake_waiters(result, staged)
        for listener in self._listeners:
            listener(result)
        return index, result.outcomes

    def check_writer(self, execution: str, token: int) -> None:
        """Refuse a document of an old holder; what this copy does not know yet is let through.

        A document alone changes nothing: the command that names it is checked by its token again.
        """
        known = self.state.executions.get(ExecutionId(execution))
        if known is not None and not tokens.may_write(known, token):
            raise StaleToken(
                f"token {token} of {execution} was superseded by {known.token}",
                held=token,
                current=known.token,
            )

    # ---- waiting

    @contextlib.contextmanager
    def waiter(
        self, execution: str, *, or_answered: bool = False
    ) -> Iterator[asyncio.Future[Settled]]:
        """A future of how it stands when a caller gets an answer. `Overloaded` at the bound.

        `or_answered`: done as well once the execution has answered its HTTP caller.
        """
        if self._waiting >= self._limits.waiters_max:
            raise Overloaded("more callers wait on this node than waiters_max allows")
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(execution, []).append(future)
        self._waiting += 1
        if or_answered:
            self._for_answers.add(future)
        try:
            yield future
        finally:
            self._for_answers.discard(future)
            self._waiting -= 1
            futures = self._waiters.get(execution)
            if futures is not None:
                with contextlib.suppress(ValueError):
                    futures.remove(future)
                if not futures:
                    self._waiters.pop(execution, None)

    def _wake_waiters(self, result: EntryResult, staged: Batch) -> None:
        if not self._waiters:
            return
        changes = result.changes
        for execution in changes.answered:
            for future in self._for_answers.intersection(self._waiters.get(execution, ())):
                if not future.done():
                    future.set_result(Settled(ExecutionState.ASSIGNED))
        settled = [
            transition
            for transition in changes.transitions
            if transition.target in _SETTLED and transition.execution in self._waiters
        ]
        if not settled:
            return
        views = {row.execution: row.view for row in changes.history}
        results = {row.execution: row for row in staged.payloads if row.slot == "result"}
        for transition in settled:
            name = transition.execution
            told = Settled(transition.target, views.get(name), results.get(name))
            for future in self._waiters[name]:
                if not future.done():
                    future.set_result(told)

    # ---- the snapshot

    async def _flushed(self) -> Mark | None:
        """Flush; on a full disk again and again: all of it stays staged, and nothing is lost."""
        pause_s = self._limits.storage_full_pause_ms / 1000
        while True:
            try:
                return await self._store.flush()
            except StorageFull:
                self.on_full()
                await asyncio.sleep(pause_s)

    async def _encoded_ahead(self) -> None:
        """Encode what changed in slices, so that the loop turns between them.

        They grow, or entries that are applied meanwhile could keep it busy for ever.
        """
        slice_rows = self._limits.flush_slice_rows
        while self._machine.dirty_count() > slice_rows:
            self._machine.encode_dirty(slice_rows)
            slice_rows += slice_rows // 8
            await asyncio.sleep(0)

    async def flushes(self) -> AsyncIterator[Mark]:
        """Write what changed, again and again; yields each mark once it is durable."""
        interval_s = self._limits.flush_interval_ms / 1000
        flushed = self.state.index
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._flush_now.wait()
            self._flush_now.clear()
            if self.state.index == flushed:
                # Idle: sleep until something is applied instead of looking ten times a second.
                self._applied.clear()
                await self._applied.wait()
                continue
            self._unflushed = 0
            await self._encoded_ahead()
            self._store.stage(rows.snapshot(self._machine.take_dirty()))
            mark = await self._flushed()
            if mark is not None:
                flushed = mark.index
                yield mark
