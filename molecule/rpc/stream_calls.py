"""Calls over one stream, many in a message, each answered by its number.

A call of the library's own costs several times what it asks. What must stay true: a call whose
stream broke is never told that nothing happened, unless the stream was never open.
"""

import asyncio
import itertools
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

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

Asked = TypeVar("Asked", bound=Message)
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Words:
    """The messages of one kind of stream, all with the same fields: see `submissions.proto`."""

    call: Callable[..., Any]
    """`number`, and `request` with `within_ms` (0: no bound), or `given_up`."""
    calls: Callable[..., Any]
    """A batch of `calls`."""
    answer: Callable[..., Any]
    """`number`, and `reply` or `error`."""


OpenStream = Callable[[AsyncIterator[Any]], AsyncIterable[Any]]
"""Carries batches of calls, gives batches of answers; may raise an error of the tree at once."""


class StreamCalls(Generic[Asked, Reply]):
    """The asking end. `run` must be running; it opens the stream again whenever somebody asks.

    `broken` makes what callers are told of what the library says of the stream.
    """

    def __init__(
        self,
        open_stream: OpenStream,
        words: Words,
        limits: Limits,
        broken: Callable[[MoleculeError], MoleculeError] = lambda error: error,
    ) -> None:
        self._open_stream = open_stream
        self._words = words
        self._limits = limits
        self._broken = broken
        self._outgoing: MessageQueue[Any] = MessageQueue(limits)
        """Of one stream: the library may still wait at the one before for what it cannot send."""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}

    async def ask(self, request: Asked, *, timeout_s: float | None) -> Reply:
        """What the other side answers, or the error that it raised."""
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting[number] = future
        late = None if timeout_s is None else loop.call_later(timeout_s, self._late, number)
        within_ms = 0 if timeout_s is None else max(1, int(timeout_s * 1000))
        self._outgoing.put(self._words.call(number=number, request=request, within_ms=within_ms))
        try:
            return await future
        except asyncio.CancelledError:
            self._outgoing.put(self._words.call(number=number, given_up=True))
            raise
        finally:
            if late is not None:
                late.cancel()
            self._waiting.pop(number, None)

    def _late(self, number: int) -> None:
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_exception(self._broken(DeadlineExceeded("the time for the call ran out")))
            self._outgoing.put(self._words.call(number=number, given_up=True))

    async def run(self) -> None:
        """Carry calls and answers until cancelled."""
        while True:
            outgoing = self._outgoing
            first = await outgoing.take()
            error: MoleculeError = OutcomeUnknown("the other side ended the stream")
            try:
                with errors.translated():
                    async for batch in self._open_stream(self._leaving(first, outgoing)):
                        for answer in batch.answers:
                            self._answered(answer)
            except MoleculeError as broke:
                error = broke
            except asyncio.CancelledError:
                # A channel that is closed under the stream says the same as the end of this task.
                if is_cancelled():
                    raise
            outgoing.end()
            self._outgoing = MessageQueue(self._limits)
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(self._broken(error))

    def _answered(self, answer: Any) -> None:
        future = self._waiting.get(answer.number)
        if future is None or future.done():
            return
        if answer.error:
            future.set_exception(errors.decoded(answer.error))
        else:
            future.set_result(answer.reply)

    async def _leaving(
        self, calls: Sequence[Any], outgoing: MessageQueue[Any]
    ) -> AsyncIterator[Any]:
        while calls:
            yield self._words.calls(calls=calls)
            calls = await outgoing.take()


def is_cancelled() -> bool:
    """True when the task that asks shall end, and not only a call in it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def serve(
    calls: AsyncIterator[Any],
    write: Callable[[Sequence[Any]], Awaitable[None]],
    answer: Callable[[Any, float], Awaitable[Any]],
    *,
    words: Words,
    name: str,
    peer: str,
    limits: Limits,
    on_broken: guard.OnBroken = guard.stop_process,
) -> None:
    """The answering end, until the other side ends the stream; what is under way is given up.

    `answer` gets a request and the seconds it has, and may raise. `write` sends what is ready at
    the same time together. `name` and `peer` are for the log.
    """
    outgoing: MessageQueue[Any] = MessageQueue(limits)
    under_way: dict[int, asyncio.Task[None]] = {}

    async def answered(call: Any) -> None:
        try:
            reply = await answer(
                call.request, call.within_ms / 1000 if call.within_ms else math.inf
            )
            outgoing.put(words.answer(number=call.number, reply=reply))
        except (Exception, BrokenInvariant) as error:  # noqa: BLE001  # as around every handler
            told = guard.told(name, peer, error, on_broken)
            outgoing.put(words.answer(number=call.number, error=errors.encoded(told)))
        finally:
            del under_way[call.number]

    async def send() -> None:
        while True:
            await write(await outgoing.take())

    def begin(call: Any) -> None:
        if call.given_up:
            if (task := under_way.get(call.number)) is not None:
                task.cancel()
        elif len(under_way) >= limits.rpc_calls_max:
            full = Overloaded("more calls are under way than rpc_calls_max allows")
            outgoing.put(words.answer(number=call.number, error=errors.encoded(full)))
        else:
            under_way[call.number] = group.create_task(answered(call))

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        async for batch in calls:
            for call in batch.calls:
                begin(call)
        for task in (sending, *under_way.values()):
            task.cancel()
