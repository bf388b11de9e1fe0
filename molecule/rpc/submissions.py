"""Submissions over one stream between the gateway and its node process, many calls in a message.

A call of the library's own costs several times what it asks. What must stay true: a call whose
stream broke is never told that nothing happened, unless the stream was never open.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from molecule.config import Limits
from molecule.model.errors import (
    BrokenInvariant,
    DeadlineExceeded,
    MoleculeError,
    OutcomeUnknown,
    Overloaded,
)
from molecule.rpc import errors, guard
from molecule.rpc.message_queue import MessageQueue
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import submissions_pb2 as s

Answer = Callable[[d.SubmitRequest, float], Awaitable[d.SubmitReply]]
"""Answers one call within so many seconds, or raises."""

Write = Callable[[Sequence[s.SubmitAnswer]], Awaitable[None]]
"""Sends what is ready at the same time together."""


class SubmissionCalls:
    """The gateway's end. `run` must be running; it opens the stream again whenever somebody asks.

    `broken` makes what callers are told of what the library says of the stream.
    """

    def __init__(
        self, stub: Any, limits: Limits, broken: Callable[[MoleculeError], MoleculeError]
    ) -> None:
        self._stub = stub
        self._limits = limits
        self._broken = broken
        self._outgoing: MessageQueue[s.SubmitCall] = MessageQueue(limits)
        """Of one stream: the library may still wait at the one before for what it cannot send."""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[d.SubmitReply]] = {}

    async def submit(self, request: d.SubmitRequest, *, timeout_s: float) -> d.SubmitReply:
        """What the node process answers, or the error that it raised."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        future: asyncio.Future[d.SubmitReply] = loop.create_future()
        self._waiting[number] = future
        late = loop.call_later(timeout_s, self._late, number)
        within_ms = max(1, int(timeout_s * 1000))
        self._outgoing.put(s.SubmitCall(number=number, request=request, within_ms=within_ms))
        try:
            return await future
        except asyncio.CancelledError:
            self._outgoing.put(s.SubmitCall(number=number, given_up=True))
            raise
        finally:
            late.cancel()
            self._waiting.pop(number, None)

    def _late(self, number: int) -> None:
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_exception(self._broken(DeadlineExceeded("the time for the call ran out")))
            self._outgoing.put(s.SubmitCall(number=number, given_up=True))

    async def run(self) -> None:
        """Carry calls and answers until cancelled."""
        while True:
            outgoing = self._outgoing
            first = await outgoing.take()
            error: MoleculeError = OutcomeUnknown("the node process ended the stream")
            try:
                with errors.translated():
                    async for batch in self._stub.Carry(_leaving(first, outgoing)):
                        for answer in batch.answers:
                            self._answered(answer)
            except MoleculeError as broke:
                error = broke
            outgoing.end()
            self._outgoing = MessageQueue(self._limits)
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(self._broken(error))

    def _answered(self, answer: s.SubmitAnswer) -> None:
        future = self._waiting.get(answer.number)
        if future is None or future.done():
            return
        if answer.error:
            future.set_exception(errors.decoded(answer.error))
        else:
            future.set_result(answer.reply)


async def _leaving(
    calls: Sequence[s.SubmitCall], outgoing: MessageQueue[s.SubmitCall]
) -> AsyncIterator[s.SubmitCallBatch]:
    while calls:
        yield s.SubmitCallBatch(calls=calls)
        calls = await outgoing.take()


async def serve(
    calls: AsyncIterator[s.SubmitCallBatch],
    write: Write,
    answer: Answer,
    *,
    limits: Limits,
    on_broken: guard.OnBroken = guard.stop_process,
) -> None:
    """The node process's end, until the gateway ends the stream; what is under way is given up."""
    outgoing: MessageQueue[s.SubmitAnswer] = MessageQueue(limits)
    under_way: dict[int, asyncio.Task[None]] = {}

    async def answered(call: s.SubmitCall) -> None:
        try:
            reply = await answer(call.request, call.within_ms / 1000)
            outgoing.put(s.SubmitAnswer(number=call.number, reply=reply))
        except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # as around every handler
            told = guard.told("Submissions", "gateway", error, on_broken)
            outgoing.put(s.SubmitAnswer(number=call.number, error=errors.encoded(told)))
        finally:
            del under_way[call.number]

    async def send() -> None:
        while True:
            await write(await outgoing.take())

    def begin(call: s.SubmitCall) -> None:
        if call.given_up:
            if (task := under_way.get(call.number)) is not None:
                task.cancel()
        elif len(under_way) >= limits.rpc_calls_max:
            full = Overloaded("more calls are under way than rpc_calls_max allows")
            outgoing.put(s.SubmitAnswer(number=call.number, error=errors.encoded(full)))
        else:
            under_way[call.number] = group.create_task(answered(call))

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        async for batch in calls:
            for call in batch.calls:
                begin(call)
        for task in (sending, *under_way.values()):
            task.cancel()
