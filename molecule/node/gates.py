"""Answers the workers of this node whether a connection takes a call now.

The replicated state decides; this gathers what its workers ask at the same time into one command.
What must stay true: a permit is used only while the leader that gave it counts its instant, so the
bounds of a rate hold however slow this node or its clock is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from molecule.cluster import gates, rates
from molecule.cluster.changes import EntryResult
from molecule.cluster.connection import Connection
from molecule.cluster.outcome import Applied
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import Unavailable
from molecule.model.execution import WaitReason
from molecule.model.ids import ExecutionId
from molecule.node.clock import boottime_us
from molecule.node.gate_reports import Forwarder, Name, Reports
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

_CATCH_UP_S: Final = 0.5
_CLOCK_KEPT_US: Final = 60_000_000
"""So long two clocks do not drift apart by what matters here."""


class Copy(Protocol):
    """The node's copy of the replicated state."""

    @property
    def state(self) -> ClusterState:
        """As it is now; for reading."""
        ...

    def listen(self, listener: Callable[[EntryResult], None], /) -> None:
        """Be called after each entry."""
        ...


@dataclass(slots=True)
class LeaderClock:
    """Between which bounds the leader's clock is, told by when it stamped what this node asked."""

    epoch: int = -1
    low_us: int = 0
    """Our clock less the leader's: at least so much."""
    high_us: int = 0
    since_us: int = 0

    def hear(self, *, epoch: int, stamped_us: int, asked_us: int, answered_us: int) -> None:
        """An entry was stamped at an instant between these two."""
        low, high = asked_us - stamped_us, answered_us - stamped_us
        if epoch == self.epoch and answered_us - self.since_us < _CLOCK_KEPT_US:
            low, high = max(low, self.low_us), min(high, self.high_us)
        else:
            self.epoch, self.since_us = epoch, answered_us
        if low > high:
            low, high = asked_us - stamped_us, answered_us - stamped_us
            self.since_us = answered_us
        self.low_us, self.high_us = low, high


@dataclass(frozen=True, slots=True)
class _Permit:
    """Between these instants of CLOCK_BOOTTIME a call may leave."""

    from_us: int
    until_us: int


@dataclass(slots=True)
class _Asking:
    """What the workers of this node want of one connection."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one who asks for all that wait."""
    waiting: list[tuple[ExecutionId, asyncio.Future[_Permit | None]]] = field(default_factory=list)
    lead_us: int = 0
    """How late answers come; permits are wanted for after that."""


class Gates(Reports):
    """One per node process, used by its desk."""

    def __init__(self, copy: Copy, forwarder: Forwarder, limits: Limits) -> None:
        super().__init__(forwarder, limits)
        self._copy = copy
        copy.listen(self.entry_applied)
        self._asking: dict[Name, _Asking] = {}
        self._clock = LeaderClock()
        self._served: dict[Name, dict[tuple[str, int], None]] = {}
        """Attempts that had a permit: they go on calling before those that wait for their first."""
        self._applied = asyncio.Event()

    def _state(self) -> ClusterState:
        return self._copy.state

    def entry_applied(self, _result: EntryResult) -> None:
        """The node's copy of the state moved on."""
        if self._asking:
            self._applied.set()

    async def ask(self, asked: w.GateAsk) -> w.GateAnswer:
        """Go on, or what the call has to wait for; comes when the call may leave."""
        answer, permit = await self._decide(asked)
        if permit is not None:
            wait_s = (permit.from_us - boottime_us()) / 1_000_000
            self.throttled((asked.environment, asked.connection), wait_s)
            await asyncio.sleep(max(0.0, wait_s))
            answer.until_boottime_us = permit.until_us
        return answer

    async def of_peer(self, asked: w.GateAsk) -> p.GateReply:
        """The same for a node without a copy of the state, that waits by itself."""
        answer, permit = await self._decide(asked)
        if permit is None:
            return p.GateReply(answer=answer)
        now_us = boottime_us()
        return p.GateReply(
            answer=answer,
            wait_us=max(0, permit.from_us - now_us),
            left_us=max(1, permit.until_us - now_us),
        )

    async def _decide(self, asked: w.GateAsk) -> tuple[w.GateAnswer, _Permit | None]:
        name = (asked.environment, asked.connection)
        known = self._state().connections.get(name)
        if known is None or not known.policy.is_gated:
            return w.GateAnswer(), None
        asking = self._asking.setdefault(name, _Asking())
        await self._caught_up(asked)
        connection = self._state().connections[name]
        execution = ExecutionId(asked.execution)
        has_pass = execution in connection.passes
        if gates.is_closed(connection) and not has_pass:
            return w.GateAnswer(held=WaitReason.BREAKER), None
        if not connection.policy.has_rate:
            return w.GateAnswer(passed=has_pass), None
        served = self._served.setdefault(name, {})
        attempt = (asked.execution, asked.token)
        if connection.waiting and not has_pass and attempt not in served:
            return w.GateAnswer(held=WaitReason.RATE), None
        permit = await self._permit(connection, asking, execution)
        if permit is None:
            served.pop(attempt, None)
            return w.GateAnswer(held=WaitReason.RATE), None
        served[attempt] = None
        if len(served) > self._limits.gate_attempts_kept_max:
            del served[next(iter(served))]
        return w.GateAnswer(passed=has_pass), permit

    async def _caught_up(self, asked: w.GateAsk) -> None:
        """Wait until this node's copy knows the attempt that asks: its pass was given before."""
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                while not self._knows(asked):
                    self._applied.clear()
                    await self._applied.wait()
        except TimeoutError:
            raise Unavailable("this node's copy of the state is behind") from None

    def _knows(self, asked: w.GateAsk) -> bool:
        execution = self._state().executions.get(ExecutionId(asked.execution))
        return execution is not None and execution.token >= asked.token

    # ---- permits

    async def _permit(
        self, connection: Connection, asking: _Asking, execution: ExecutionId
    ) -> _Permit | None:
        """One for this call; None when the next one is too far off."""
        future: asyncio.Future[_Permit | None] = asyncio.get_running_loop().create_future()
        asking.waiting.append((execution, future))
        try:
            async with asking.turn:
                if not future.done():
                    await self._take(connection, asking)
        finally:
            asking.waiting = [one for one in asking.waiting if one[1] is not future]
        return future.result()

    async def _take(self, connection: Connection, asking: _Asking) -> None:
        """Ask for all that wait now, the longest waiting first, those let through before others."""
        passes = connection.passes
        batch = sorted(asking.waiting, key=lambda one: one[0] not in passes)
        command = c.TakePermits(
            environment=connection.environment,
            connection=connection.policy.connection,
            count=len(batch),
            lead_ms=asking.lead_us // 1_000,
            executions=[one for one, _ in batch if one in passes],
        )
        asked_us = boottime_us()
        outcome = await self._commit(c.Command(version=1, take_permits=command))
        answered_us = boottime_us()
        if not isinstance(outcome, Applied):
            raise Unavailable(f"no permits: {outcome.reason}")
        facts = {name: int(value) for name, value in outcome.facts.items()}
        self._clock.hear(
            epoch=self._state().epoch,
            stamped_us=facts["now_us"],
            asked_us=asked_us,
            answered_us=answered_us,
        )
        instants, _ = rates.grant(
            connection.policy,
            next_us=facts["from_us"],
            now_us=facts["now_us"],
            earliest_us=facts["earliest_us"],
            count=outcome.value,
        )
        late_us = rates.permit_us(connection.policy)
        is_late = False
        for (_, future), instant in zip(batch, instants, strict=False):
            permit = _Permit(instant + self._clock.high_us, instant + self._clock.low_us + late_us)
            if permit.until_us <= max(permit.from_us, answered_us):
                is_late = True
            elif not future.done():
                future.set_result(permit)
        asking.lead_us = 2 * (answered_us - asked_us) if is_late else 0
        if is_late:
            raise Unavailable("the permits came too late")
        for _, future in batch[len(instants) :]:
            if not future.done():
                future.set_result(None)
