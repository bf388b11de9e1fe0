"""The way of every command to the leader, from any node.

Callers say a group of commands and get its outcome, wherever the leader is. Groups said at the same
time travel together. What must stay true: a group is said again only where that is harmless,
because each command carries its own id or is a compare-and-set.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from molecule.config import Limits
from molecule.model.errors import MoleculeError, NoLeader, OutcomeUnknown, Overloaded
from molecule.node.proposer import GroupResult, Proposer, check_size
from molecule.wire.v1 import commands_pb2 as c

Commands = Sequence[c.Command]
SendGroups = Callable[[str, Sequence[Commands]], Awaitable[list[GroupResult]]]
"""Propose groups at the named node; raises what that node raised."""

_PAUSE_S = 0.02
"""Between two tries: a leader that is none must not be stormed."""

_ASK_AGAIN = "it may have been committed; ask again with the same key"


@dataclass(slots=True)
class _Said:
    commands: Commands
    size_bytes: int
    result: asyncio.Future[GroupResult]


class Forwarder:
    """Used by doors, agent and leader alike; `run` must be running."""

    def __init__(
        self,
        *,
        me: str,
        leader: Callable[[], str | None],
        proposer: Proposer | None,
        send: SendGroups,
        limits: Limits,
    ) -> None:
        self._me = me
        self._leader = leader
        self._proposer = proposer
        self._send = send
        self._limits = limits
        self._said: deque[_Said] = deque()
        self._wake = asyncio.Event()
        self._leader_known = asyncio.Event()
        self._under_way: dict[asyncio.Timeout, str] = {}

    def leader_changed(self) -> None:
        """Wake those who wait for a leader, and give up waiting for one that leads no more.

        A frozen leader holds its links open: without this, what was sent to it would wait until the
        link is found dead, long after another node leads.
        """
        leader = self._leader()
        # Taken out, for the next change may come before they ended, and must not end them again.
        for bound in [bound for bound, asked in self._under_way.items() if asked != leader]:
            del self._under_way[bound]
            bound.reschedule(asyncio.get_running_loop().time())
        if leader is not None:
            self._leader_known.set()
        else:
            self._leader_known.clear()

    async def propose(self, commands: Commands) -> GroupResult:
        """Once, now. Raises `OutcomeUnknown`, or what is definite: nothing happened."""
        leader = self._leader()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        if leader == self._me and self._proposer is not None:
            return await self._proposer.propose(commands)
        # Here and not only at the leader: groups that travel together would be refused together.
        size = check_size(commands, self._limits)
        if len(self._said) >= self._limits.proposals_queued_max:
            raise Overloaded("more commands wait for the leader than proposals_queued_max allows")
        said = _Said(commands, size, asyncio.get_running_loop().create_future())
        self._said.append(said)
        self._wake.set()
        return await said.result

    async def insist(
        self, commands: Commands, *, within_s: float, repeat_unknown: bool = True
    ) -> GroupResult:
        """Again and again until there is an outcome, through elections, for at most `within_s`.

        Not `repeat_unknown`: only while nothing happened. For what would undo the work of others
        if it took effect once more. Raises `OutcomeUnknown` when any try ended unknown or was
        under way at the end, because a later definite refusal does not undo an earlier try; else
        what the last try raised.
        """
        unknown = False
        refused: MoleculeError = NoLeader("no node led in time")
        try:
            async with asyncio.timeout(within_s):
                while True:
                    was_unknown, unknown = unknown, True
                    try:
                        return await self.propose(commands)
                    except OutcomeUnknown:
                        if not repeat_unknown:
                            raise
                    except NoLeader as error:
                        unknown, refused = was_unknown, error
                    except MoleculeError as error:
                        if was_unknown:
                            raise OutcomeUnknown(_ASK_AGAIN) from error
                        raise
                    await self._pause()
        except TimeoutError:
            if unknown:
                raise OutcomeUnknown(_ASK_AGAIN) from None
            raise refused from None

    async def _pause(self) -> None:
        """Until a leader is known; a short time in any case, so that a wrong one is not stormed."""
        await asyncio.sleep(_PAUSE_S)
        await self._leader_known.wait()

    async def run(self) -> None:
        """Carry groups to other nodes until cancelled."""
        async with asyncio.TaskGroup() as group:
            # Enough at once to hide the round trip, few enough for groups to gather meanwhile.
            for _ in range(self._limits.forward_requests_max):
                group.create_task(self._pipe())

    async def _pipe(self) -> None:
        while True:
            while not self._said:
                self._wake.clear()
                await self._wake.wait()
            await self._carry(self._gather())

    def _gather(self) -> list[_Said]:
        batch: list[_Said] = []
        count = size = 0
        while self._said:
            count += len(self._said[0].commands)
            size += self._said[0].size_bytes
            over = count > self._limits.entry_commands_max or size > self._limits.entry_bytes_max
            if batch and over:
                break
            batch.append(self._said.popleft())
        return batch

    async def _carry(self, batch: list[_Said]) -> None:
        leader = self._leader()
        error: MoleculeError
        try:
            if leader is None or leader == self._me:
                raise NoLeader("the leader changed while the command waited")
            results = await self._ask(leader, [said.commands for said in batch])
        except MoleculeError as raised:
            error = raised
        except asyncio.CancelledError:
            for said in batch:
                said.result.cancel()
            raise
        else:
            for said, result in zip(batch, results, strict=True):
                if not said.result.done():
                    said.result.set_result(result)
            return
        for said in batch:
            if not said.result.done():
                said.result.set_exception(error)

    async def _ask(self, leader: str, groups: list[Commands]) -> list[GroupResult]:
        bound = asyncio.timeout(None)
        self._under_way[bound] = leader
        try:
            async with bound:
                return await self._send(leader, groups)
        except TimeoutError:
            raise OutcomeUnknown(f"{leader} lost its leadership before it answered") from None
        finally:
            self._under_way.pop(bound, None)
