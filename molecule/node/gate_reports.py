"""What nodes say of calls through gates, and gates of a node without a copy of the state.

The replicated state draws the consequences. What must stay true: what is told at the same time is
one command, and whoever tells hears only after it is committed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from molecule.cluster import gates
from molecule.cluster.outcome import Outcome
from molecule.config import Limits
from molecule.node.clock import boottime_us
from molecule.node.forwarder import Commands
from molecule.node.proposer import GroupResult
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

Name = tuple[str, str]
"""Of a connection: its environment and its own."""


class Forwarder(Protocol):
    """The part of the way into the log that this uses."""

    async def insist(self, commands: Commands, *, within_s: float) -> GroupResult:
        """Commit, through elections."""
        ...


_Call = tuple[str, int, int]
"""One call: its execution, the token and its number under it."""


@dataclass(slots=True)
class _Told:
    """Calls of one connection that the cluster has not heard of yet, and what it has heard."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    unsaid: dict[_Call, bool] = field(default_factory=dict)
    """Whether the call failed."""
    said: dict[_Call, None] = field(default_factory=dict)
    """The last ones: a worker may repeat what another one's word has brought along."""

    def gather(self) -> dict[_Call, bool]:
        """What one command can say."""
        return dict(islice(self.unsaid.items(), gates.FAILURES_TOLD_MAX))

    def committed(self, calls: dict[_Call, bool]) -> None:
        """The cluster knows of these."""
        for call in calls:
            self.unsaid.pop(call, None)
            self.said[call] = None
        while len(self.said) > gates.FAILURES_TOLD_MAX:
            del self.said[next(iter(self.said))]


class Reports:
    """What became of calls, gathered by connection."""

    def __init__(self, forwarder: Forwarder, limits: Limits) -> None:
        self._forwarder = forwarder
        self._limits = limits
        self._within_s = limits.gate_wait_ms_max / 1_000
        self._told: dict[Name, _Told] = {}
        self.throttled_s: dict[Name, float] = {}
        """How long calls waited here for their instants."""

    def throttled(self, name: Name, wait_s: float) -> None:
        """A call waits so long."""
        if wait_s > 0:
            self.throttled_s[name] = self.throttled_s.get(name, 0.0) + wait_s

    async def told(self, told: w.GateTold) -> None:
        """Say it with everything that is to be said of this connection; returns when committed.

        The same call told again is counted once. What could not be said is said by whoever comes
        next: others count on it.
        """
        name = (told.environment, told.connection)
        kept = self._told.setdefault(name, _Told())
        call = (told.execution, told.token, told.call)
        if call in kept.said:
            return
        kept.unsaid[call] = told.failed
        async with kept.turn:
            while call in kept.unsaid:
                said = kept.gather()
                failed = [one[0] for one, has_failed in said.items() if has_failed]
                command = c.RecordCalls(
                    environment=name[0],
                    connection=name[1],
                    failures=len(failed),
                    succeeded=[one[0] for one, has_failed in said.items() if not has_failed],
                    failed=failed,
                )
                await self._commit(c.Command(version=1, record_calls=command))
                kept.committed(said)

    async def _commit(self, command: c.Command) -> Outcome:
        result = await self._forwarder.insist([command], within_s=self._within_s)
        (outcome,) = result.outcomes
        return outcome


class RemoteGates(Reports):
    """Of a worker node: the leader answers, this node waits."""

    def __init__(
        self,
        ask_leader: Callable[[w.GateAsk], Awaitable[p.GateReply]],
        forwarder: Forwarder,
        limits: Limits,
    ) -> None:
        super().__init__(forwarder, limits)
        self._ask_leader = ask_leader

    async def ask(self, asked: w.GateAsk) -> w.GateAnswer:
        """Go on, or what the call has to wait for; comes when the call may leave.

        The answer was made at some instant of this call: a permit begins as if at its end, and ends
        as if at its beginning.
        """
        asked_us = boottime_us()
        reply = await self._ask_leader(asked)
        if reply.left_us:
            wait_s = reply.wait_us / 1_000_000
            self.throttled((asked.environment, asked.connection), wait_s)
            await asyncio.sleep(wait_s)
            reply.answer.until_boottime_us = asked_us + reply.left_us
        return reply.answer
