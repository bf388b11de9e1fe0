"""The one way to the node process: numbered messages out, answers and orders in.

Calls wait for the answer that names their number; everything else goes to the handler in order.
What must stay true: when the stream ends, every waiting call fails and `run` returns, so the
worker ends.
"""

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Protocol

from molecule.model.errors import OutcomeUnknown
from molecule.wire.v1 import worker_pb2 as w

OpenStream = Callable[[AsyncIterator[Sequence[w.FromWorker]]], AsyncIterable[Sequence[w.ToWorker]]]
"""Carries what is ready at the same time together."""


class Outgoing(Protocol):
    """What waits to leave."""

    def put(self, message: w.FromWorker) -> None:
        """Add a message."""
        ...

    async def take(self) -> list[w.FromWorker]:
        """Some of what waits, in order; at least one."""
        ...


class NodeStream:
    """Built by the root; used by one loop."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[w.CallAnswer]] = {}

    def tell(self, message: w.FromWorker) -> None:
        """Send without an answer."""
        message.number = next(self._numbers)
        self._outgoing.put(message)

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        """Send and wait for the answer; `OutcomeUnknown` when the stream ends first."""
        future: asyncio.Future[w.CallAnswer] = asyncio.get_running_loop().create_future()
        message.number = next(self._numbers)
        self._waiting[message.number] = future
        self._outgoing.put(message)
        try:
            return await future
        finally:
            self._waiting.pop(message.number, None)

    async def run(
        self, hello: w.WorkerHello, open_stream: OpenStream, handle: Callable[[w.ToWorker], None]
    ) -> None:
        """Carry the stream until the node process ends it."""
        self.tell(w.FromWorker(hello=hello))
        try:
            async for messages in open_stream(self._messages()):
                for message in messages:
                    if message.WhichOneof("kind") == "answer":
                        self._answered(message.answer)
                    else:
                        handle(message)
        finally:
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(OutcomeUnknown("the stream to the node process ended"))
                    # A caller who is being cancelled does not look at it any more.
                    future.exception()

    def _answered(self, answer: w.CallAnswer) -> None:
        future = self._waiting.get(answer.number)
        if future is not None and not future.done():
            future.set_result(answer)

    async def _messages(self) -> AsyncIterator[Sequence[w.FromWorker]]:
        while True:
            yield await self._outgoing.take()
