"""The stream between a worker and its node process: a unix socket of one machine.

What must stay true: what the worker said before it died is still read, and a process whose other
end is gone sees the end behind it.
"""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

from molecule.model.errors import Unavailable
from molecule.wire.v1 import worker_pb2 as w
from tests.simulation.clock import EventQueue
from tests.simulation.whole.loop import ProcessLoop

_WAY_S = 0.0003

ServeWorker = Callable[
    [AsyncIterator[w.FromWorker], Callable[[Sequence[w.ToWorker]], Awaitable[None]]],
    Awaitable[None],
]


class Pipe:
    """One stream. `serve` runs in the node process, `open_stream` in the worker."""

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        node: ProcessLoop,
        worker: ProcessLoop,
        serve: ServeWorker,
    ) -> None:
        self._queue = queue
        self._rng = rng
        self._node = node
        self._worker = worker
        self._serve = serve
        self._to_node: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._to_worker: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._last_s = {"node": 0.0, "worker": 0.0}

    def _carry(self, to: str, content: bytes | None) -> None:
        """One message, behind all that went before it."""
        loop, inbox = (
            (self._node, self._to_node) if to == "node" else (self._worker, self._to_worker)
        )
        at_s = max(self._last_s[to], self._queue.now_s + self._rng.random() * _WAY_S)
        self._last_s[to] = at_s
        self._queue.at(at_s, loop.post, inbox.put_nowait, content)

    def worker_ended(self) -> None:
        """The kernel closed its end."""
        self._carry("node", None)

    async def open_stream(
        self, outgoing: AsyncIterator[Sequence[w.FromWorker]]
    ) -> AsyncIterable[Sequence[w.ToWorker]]:
        """The worker's end; a `stream.OpenStream`."""
        self._node.post(lambda: self._node.create_task(self._served()))
        sending = self._worker.create_task(self._send(outgoing))
        try:
            while (content := await self._to_worker.get()) is not None:
                yield w.ToWorkerBatch.FromString(content).messages
        finally:
            sending.cancel()
        raise Unavailable("the node process ended the stream")

    async def _send(self, outgoing: AsyncIterator[Sequence[w.FromWorker]]) -> None:
        async for messages in outgoing:
            self._carry("node", w.FromWorkerBatch(messages=messages).SerializeToString())

    async def _served(self) -> None:
        async def incoming() -> AsyncIterator[w.FromWorker]:
            while (content := await self._to_node.get()) is not None:
                for message in w.FromWorkerBatch.FromString(content).messages:
                    yield message

        async def write(messages: Sequence[w.ToWorker]) -> None:
            self._carry("worker", w.ToWorkerBatch(messages=messages).SerializeToString())

        try:
            await self._serve(incoming(), write)
        finally:
            self._carry("worker", None)
