"""Asks the node whether a connection takes a call now, and tells what became of it.

Whether it does is decided by the node and the cluster; connections without a breaker or a rate
never come here. What must stay true: a call leaves within its permit, and what was let through
alone is told before anything follows from it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from molecule.config import Limits
from molecule.engine.events import RequestFailed, RequestHeld, RequestPerformed
from molecule.engine.instructions import PerformRequest
from molecule.model.effect import Effect, ErrorClass
from molecule.model.execution import WaitReason
from molecule.model.gate import GatePolicy
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import kernel
from molecule.worker.speaker import GONE, Calls

_PAUSE_S: Final = 0.1
_TRANSIENT: Final = (ErrorClass.TRANSIENT_DEFINITE, ErrorClass.TRANSIENT_UNKNOWN)


class PermitOver(BaseException):
    """The call did not leave in time; nothing of it was sent.

    Not an Exception: no component may take it for a failure of the target.
    """


@dataclass(frozen=True, slots=True)
class Permit:
    """Until when a call may leave; 0: it is not bound to a time."""

    until_boottime_us: int = 0

    def check(self) -> None:
        """Directly before the bytes leave. Raises `PermitOver`."""
        if self.until_boottime_us and kernel.boottime_us() > self.until_boottime_us:
            raise PermitOver


FREE: Final = Permit()


class Leave:
    """What a call asks directly before its bytes leave: lease and token, and first the permit.

    It asks again when a redirect makes it send again; then it has left, within its permit, and may
    have had its effect.
    """

    def __init__(self, check: Callable[[], None], permit: Permit) -> None:
        self._check = check
        self._permit = permit
        self.sent = False

    def __call__(self) -> None:
        """Raises what the check raises, and `PermitOver`."""
        self._check()
        if not self.sent:
            self._permit.check()
        self.sent = True


Answered = RequestPerformed | RequestFailed
Send = Callable[[Permit], Awaitable[Answered]]


class GateKeeper:
    """For one execution under one token."""

    def __init__(self, calls: Calls, order: w.RunExecution, limits: Limits) -> None:
        self._calls = calls
        self._order = order
        self._limits = limits

    async def through(
        self, item: PerformRequest, gate: GatePolicy, send: Send, *, now_ms: Callable[[], int]
    ) -> Answered | RequestHeld:
        """What became of the request, or that it waits before the gate and did not leave."""
        reason = WaitReason.RATE if gate.has_rate else WaitReason.BREAKER
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._limits.gate_wait_ms_max / 1_000
        while loop.time() < until_s:
            try:
                async with asyncio.timeout_at(until_s):
                    answer = await self._ask(gate.connection)
            except TimeoutError:
                break
            if answer.held:
                reason = WaitReason(answer.held)
                break
            try:
                event = await send(Permit(answer.until_boottime_us))
            except PermitOver:
                continue
            return await self._judged(item, gate, answer, event)
        return RequestHeld(item.call, now_ms(), reason)

    async def _ask(self, connection: str) -> w.GateAnswer:
        order = self._order
        asked = w.GateAsk(
            environment=order.environment,
            connection=connection,
            execution=order.execution,
            token=order.token,
        )
        while True:
            answer = await self._calls.call(w.FromWorker(gate_ask=asked))
            if answer.done:
                return answer.gate
            await asyncio.sleep(_PAUSE_S)

    async def _judged(
        self, item: PerformRequest, gate: GatePolicy, answer: w.GateAnswer, event: Answered
    ) -> Answered | RequestHeld:
        """Tell what counts; one that only tried whether the target is back burns no try by it."""
        has_failed = isinstance(event, RequestFailed) and event.failure.error_class in _TRANSIENT
        if not gate.has_breaker or not (has_failed or answer.passed):
            return event
        told = w.GateTold(
            environment=self._order.environment,
            connection=gate.connection,
            execution=self._order.execution,
            token=self._order.token,
            call=item.call,
            failed=has_failed,
        )
        await self._tell(told)
        if isinstance(event, RequestFailed) and has_failed and answer.passed:
            is_certain = event.failure.error_class is ErrorClass.TRANSIENT_DEFINITE
            if is_certain or not event.sent or item.step.effect is not Effect.ONCE:
                return RequestHeld(item.call, event.at_ms, WaitReason.BREAKER)
        return event

    async def _tell(self, told: w.GateTold) -> None:
        """Again until it is committed, or until this attempt is over and has no pass any more."""
        while True:
            answer = await self._calls.call(w.FromWorker(gate_told=told))
            if answer.done or (answer.definite and answer.code in GONE):
                return
            await asyncio.sleep(_PAUSE_S)
