"""The agent's session with a leader in the same process: the same words, without a network."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from molecule.model.errors import Unavailable
from molecule.wire.v1 import peer_pb2 as p

Serve = Callable[
    [str, AsyncIterator[p.FromAgent], Callable[[p.ToAgent], Awaitable[None]]], Awaitable[None]
]


class LocalSession:
    """An `agent.LeaderSession`; `incoming` carries the leader's side while it is iterated."""

    def __init__(self, node: str, serve: Serve) -> None:
        self._node = node
        self._serve = serve
        self._to_leader: asyncio.Queue[p.FromAgent] = asyncio.Queue()
        self._to_agent: asyncio.Queue[p.ToAgent | None] = asyncio.Queue()

    async def send(self, message: p.FromAgent) -> None:
        """Never blocks."""
        self._to_leader.put_nowait(message)

    async def incoming(self) -> AsyncIterator[p.ToAgent]:
        """What the leader says, until it stops leading."""
        serving = asyncio.ensure_future(self._carry())
        try:
            while (message := await self._to_agent.get()) is not None:
                yield message
            serving.result()
            raise Unavailable(f"{self._node} ended the session")
        finally:
            serving.cancel()

    async def _carry(self) -> None:
        try:
            await self._serve(self._node, self._words(), self._write)
        finally:
            self._to_agent.put_nowait(None)

    async def _words(self) -> AsyncIterator[p.FromAgent]:
        while True:
            yield await self._to_leader.get()

    async def _write(self, message: p.ToAgent) -> None:
        self._to_agent.put_nowait(message)

    def close(self) -> None:
        """Nothing to give back."""
