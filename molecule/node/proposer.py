"""The leader's way into the log: groups of commands from everywhere become few entries.

Group commit: while one entry is on its way, arriving groups gather into the next. A group is never
split, so what a caller said together commits together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from molecule.cluster.outcome import Outcome
from molecule.config import Limits
from molecule.model.errors import (
    LimitExceeded,
    MoleculeError,
    NoLeader,
    OutcomeUnknown,
    Overloaded,
)
from molecule.wire.v1 import commands_pb2 as c


@dataclass(frozen=True, slots=True)
class GroupResult:
    """What became of one group: the index of its entry, and an outcome per command."""

    index: int
    outcomes: tuple[Outcome, ...]


@dataclass(slots=True)
class _Waiting:
    commands: Sequence[c.Command]
    size_bytes: int
    result: asyncio.Future[GroupResult]


def _needs_time(command: c.Command) -> bool:
    return command.WhichOneof("kind") != "claim_leadership"


def check_size(commands: Sequence[c.Command], limits: Limits) -> int:
    """The bytes that a group takes in an entry; `LimitExceeded` when no entry can hold it."""
    if len(commands) > limits.entry_commands_max:
        raise LimitExceeded(
            limit="entry_commands_max", allowed=limits.entry_commands_max, asked=len(commands)
        )
    size = sum(command.ByteSize() + 6 for command in commands)
    if size > limits.entry_bytes_max:
        raise LimitExceeded(limit="entry_bytes_max", allowed=limits.entry_bytes_max, asked=size)
    return size


class Proposer:
    """Used on every node, effective on the leader: elsewhere `commit` raises `NoLeader`."""

    def __init__(
        self,
        commit: Callable[[bytes], Awaitable[tuple[int, tuple[Outcome, ...]]]],
        now_ms: Callable[[], int],
        has_time: Callable[[], bool],
        limits: Limits,
    ) -> None:
        """`has_time`: whether the cluster's time has begun, which the first claim of all begins."""
        self._commit = commit
        self._now_ms = now_ms
        self._has_time = has_time
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._wake = asyncio.Event()

    async def propose(self, commands: Sequence[c.Command]) -> GroupResult:
        """Commit the commands in one entry. Raises `NoLeader`, `OutcomeUnknown`, `Overloaded`."""
        return await self._enqueue(commands)

    async def propose_all(self, groups: Sequence[Sequence[c.Command]]) -> list[GroupResult]:
        """Many groups at once, each whole; a definite error only when it is true of all of them.

        They may need several entries. `OutcomeUnknown` when some committed and some did not.
        """
        for group in groups:
            check_size(group, self._limits)
        self._check_room(sum(len(group) for group in groups))
        ends = await asyncio.gather(
            *[self._enqueue(group) for group in groups], return_exceptions=True
        )
        done = [end for end in ends if isinstance(end, GroupResult)]
        failed = [end for end in ends if isinstance(end, BaseException)]
        if not failed:
            return done
        if done and isinstance(failed[0], MoleculeError):
            raise OutcomeUnknown("a part of what was said together committed") from failed[0]
        # Of several ends the unknown one is the truth about all.
        raise min(failed, key=lambda end: isinstance(end, MoleculeError) and end.definite)

    def _check_room(self, count: int) -> None:
        if self._queued + count > self._limits.proposals_queued_max:
            raise Overloaded("more commands wait for the log than proposals_queued_max allows")

    def _enqueue(self, commands: Sequence[c.Command]) -> asyncio.Future[GroupResult]:
        size = check_size(commands, self._limits)
        self._check_room(len(commands))
        if not self._has_time() and any(_needs_time(command) for command in commands):
            # What is stamped before would stand in the log as of 1970.
            raise NoLeader("the first leader of this cluster has not begun to lead yet")
        waiting = _Waiting(commands, size, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued += len(commands)
        self._wake.set()
        return waiting.result

    async def run(self) -> None:
        """Send entries until cancelled, one at a time: the next gathers meanwhile."""
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await self._send(self._next_batch())

    def _next_batch(self) -> list[_Waiting]:
        limits = self._limits
        # An entry is applied in one go on every voter, and nothing else runs there meanwhile.
        together_max = min(limits.entry_commands_gathered_max, limits.entry_commands_max)
        batch: list[_Waiting] = []
        count = size = 0
        while self._queue:
            head = self._queue[0]
            count += len(head.commands)
            size += head.size_bytes
            if batch and (count > together_max or size > limits.entry_bytes_max):
                break
            batch.append(self._queue.popleft())
            self._queued -= len(head.commands)
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        entry = c.Entry(at_ms=self._now_ms())
        for waiting in batch:
            entry.commands.extend(waiting.commands)
        try:
            index, outcomes = await self._commit(entry.SerializeToString())
        except MoleculeError as error:
            for waiting in batch:
                if not waiting.result.done():
                    waiting.result.set_exception(error)
            return
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.result.cancel()
            raise
        start = 0
        for waiting in batch:
            end = start + len(waiting.commands)
            if not waiting.result.done():
                waiting.result.set_result(GroupResult(index, outcomes[start:end]))
            start = end
