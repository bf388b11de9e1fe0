"""Calls and sessions between nodes over the simulated connections, as the product's RPC means them.

What is asked on a connection that breaks before the answer has an unknown outcome; without a
connection nothing was asked. What must stay true: messages travel as bytes, in the order of their
connection, and a broken connection ends all that it carried at both ends.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from molecule.model.errors import MoleculeError, NoLeader, OutcomeUnknown, Unavailable
from molecule.rpc import errors
from molecule.wire.v1 import peer_pb2 as p
from tests.simulation.member import Port
from tests.simulation.whole.loop import ProcessLoop

Answer = Callable[[str, bytes], Awaitable[bytes]]
"""The caller and what it asks; raises errors of the tree."""
Serve = Callable[
    [str, AsyncIterator[p.FromAgent], Callable[[Sequence[p.ToAgent]], Awaitable[None]]],
    Awaitable[None],
]
_HEAD_BYTES = 60


@dataclass(frozen=True, slots=True)
class Spoken:
    """One frame of a call or session; `about` says what the content is."""

    about: str
    number: int
    content: bytes
    name: str = ""


class Calls:
    """One per life of a node process."""

    def __init__(self, port: Port, loop: ProcessLoop) -> None:
        self._port = port
        self._loop = loop
        self._numbers = itertools.count(1)
        self._links: dict[str, int] = {}
        self._asked: dict[tuple[str, int, int], asyncio.Future[bytes]] = {}
        self._own: dict[tuple[str, int, int], asyncio.Queue[bytes | None]] = {}
        self._served: dict[tuple[str, int, int], tuple[asyncio.Queue[bytes | None], Any]] = {}
        self.answers: dict[str, Answer] = {}
        self.serve: Serve | None = None

    # What the network tells.

    def link_up(self, peer: str, connection: int) -> None:
        """A connection is open; the one before is over for what begins now."""
        former = self._links.get(peer)
        if former is not None:
            self._broke(peer, former)
        self._links[peer] = connection

    def link_down(self, peer: str, connection: int) -> None:
        """A connection is over."""
        if self._links.get(peer) == connection:
            del self._links[peer]
        self._broke(peer, connection)

    def _broke(self, peer: str, connection: int) -> None:
        def is_on(key: tuple[str, int, int]) -> bool:
            return key[:2] == (peer, connection)

        for key in [key for key in self._asked if is_on(key)]:
            future = self._asked.pop(key)
            if not future.done():
                future.set_exception(OutcomeUnknown(f"the link to {peer} broke"))
        for key in [key for key in self._own if is_on(key)]:
            self._own.pop(key).put_nowait(None)
        for key in [key for key in self._served if is_on(key)]:
            # The library cancels what serves a stream that broke.
            self._served.pop(key)[1].cancel()

    def hear(self, peer: str, connection: int, spoken: Spoken) -> None:
        """A frame arrived."""
        key = (peer, connection, spoken.number)
        match spoken.about:
            case "ask":
                self._loop.create_task(self._answer(key, spoken))
            case "answer" | "refusal":
                future = self._asked.pop(key, None)
                if future is not None and not future.done():
                    if spoken.about == "answer":
                        future.set_result(spoken.content)
                    else:
                        future.set_exception(errors.decoded(spoken.content))
            case "say":
                self._heard(key, spoken.content)
            case "tell":
                own = self._own.get(key)
                if own is not None:
                    own.put_nowait(spoken.content)
            case "end":
                ended = self._own.pop(key, None)
                if ended is not None:
                    ended.put_nowait(None)
            case "close":
                served = self._served.pop(key, None)
                if served is not None:
                    served[1].cancel()

    def _say(self, peer: str, connection: int, spoken: Spoken) -> None:
        size = len(spoken.content) + _HEAD_BYTES
        self._port.send(peer, connection, spoken, size)

    # Calls.

    async def ask(self, peer: str, name: str, content: bytes) -> bytes:
        """What the peer answers; raises what it raised."""
        connection = self._links.get(peer)
        if connection is None:
            raise Unavailable(f"the node {peer} cannot be reached")
        key = (peer, connection, next(self._numbers))
        future = self._asked[key] = self._loop.create_future()
        self._say(peer, connection, Spoken("ask", key[2], content, name))
        try:
            answered: bytes = await future
            return answered
        finally:
            self._asked.pop(key, None)

    async def _answer(self, key: tuple[str, int, int], spoken: Spoken) -> None:
        peer, connection, number = key
        try:
            content = await self.answers[spoken.name](peer, spoken.content)
        except MoleculeError as error:
            self._say(peer, connection, Spoken("refusal", number, errors.encoded(error)))
        else:
            self._say(peer, connection, Spoken("answer", number, content))

    # Sessions.

    def session(self, peer: str) -> "Session":
        """A session with a leader, opened by its first message."""
        connection = self._links.get(peer)
        if connection is None:
            raise Unavailable(f"the node {peer} cannot be reached")
        key = (peer, connection, next(self._numbers))
        incoming = self._own[key] = asyncio.Queue()
        return Session(self, key, incoming)

    def say_in(self, key: tuple[str, int, int], about: str, content: bytes) -> None:
        """Say something in one's own session; `Unavailable` when it is over."""
        if key not in self._own:
            raise Unavailable("the session has ended")
        self._say(key[0], key[1], Spoken(about, key[2], content))

    def close(self, key: tuple[str, int, int]) -> None:
        """End one's own session."""
        if self._own.pop(key, None) is not None:
            self._say(key[0], key[1], Spoken("close", key[2], b""))

    def _heard(self, key: tuple[str, int, int], content: bytes) -> None:
        known = self._served.get(key)
        if known is None:
            incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
            task = self._loop.create_task(self._serve(key, incoming))
            known = self._served[key] = (incoming, task)
        known[0].put_nowait(content)

    async def _serve(
        self, key: tuple[str, int, int], incoming: "asyncio.Queue[bytes | None]"
    ) -> None:
        peer, connection, number = key

        async def words() -> AsyncIterator[p.FromAgent]:
            while (content := await incoming.get()) is not None:
                yield p.FromAgent.FromString(content)

        async def write(messages: Sequence[p.ToAgent]) -> None:
            content = p.ToAgentBatch(messages=messages).SerializeToString()
            self._say(peer, connection, Spoken("tell", number, content))

        try:
            if self.serve is None:
                raise NoLeader("not yet")
            await self.serve(peer, words(), write)
        except MoleculeError:
            pass
        finally:
            self._served.pop(key, None)
        self._say(peer, connection, Spoken("end", number, b""))


class Session:
    """The agent's end of a session; an `agent.LeaderSession`."""

    def __init__(
        self, calls: Calls, key: tuple[str, int, int], incoming: "asyncio.Queue[bytes | None]"
    ) -> None:
        self._calls = calls
        self._key = key
        self._incoming = incoming

    async def send(self, message: p.FromAgent) -> None:
        """Raises `Unavailable` when the session is over."""
        self._calls.say_in(self._key, "say", message.SerializeToString())

    async def incoming(self) -> AsyncIterator[p.ToAgent]:
        """What the leader says, until the session ends."""
        while (content := await self._incoming.get()) is not None:
            for message in p.ToAgentBatch.FromString(content).messages:
                yield message
        raise Unavailable("the leader ended the session")

    async def carry(self) -> None:
        """The connection carries it; reading tells its end."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """End it."""
        self._calls.close(self._key)
