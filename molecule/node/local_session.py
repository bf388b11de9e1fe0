"""The agent's session with a leader in the same process: the same words, without a network."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from molecule.model.errors import Unavailable
from molecule.wire.v1 import peer_pb2 as p

Serve = Callable[
    [str, AsyncIterator[p.FromAgent], Callable[[Sequence[p.ToAgent]], Awaitable[None]]],
    Awaitable[None],
]


class LocalSession:
    """An `agent.LeaderSession`; `carry` is the leader's side of it."""

    def __init__(self, node: str, serve: Serve) -> None:
        self._node = node
        self._serve = serve
        self._to_leader: asyncio.Queue[p.FromAgent] = asyncio.Queue()
        self._to_agent: asyncio.Queue[p.ToAgent] = asyncio.Queue()

    async def send(self, message: p.FromAgent) -> None:
        """Never blocks."""
        self._to_leader.put_nowait(message)

    async def incoming(self) -> AsyncIterator[p.ToAgent]:
        """What the leader says; its end is seen by `carry`."""
        while True:
            yield await self._to_agent.get()

    async def carry(self) -> None:
        """Until the leader ends it, which is an error of the tree."""
        await self._serve(self._node, self._words(), self._write)
        raise Unavailable(f"{self._node} ended the session")

    async def _words(self) -> AsyncIterator[p.FromAgent]:
        while True:
            yield await self._to_leader.get()

    async def _write(self, messages: Sequence[p.ToAgent]) -> None:
        for message in messages:
            self._to_agent.put_nowait(message)

    def close(self) -> None:
        """Nothing to give back."""
