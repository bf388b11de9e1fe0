"""A target outside the cluster that remembers every call, and can be told to answer late.

It honours no key. `hold` stops calls either before they have their effect or between the effect and
the answer: the two places where a crash leaves different truths. A caller who goes away while held
before the effect has caused none.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from molecule.cli.local_files import HOST
from molecule.cli.waiting import until


@dataclass
class Hold:
    """Calls whose name begins so wait here until released."""

    prefix: str
    after_effect: bool
    waiting: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    """Where each of them called from."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, count: int = 1, *, within_s: float = 60.0) -> None:
        """Wait until so many calls stand here."""

        async def look() -> bool | None:
            return True if len(set(self.waiting)) >= count else None

        await until(look, what=f"{count} calls of {self.prefix} at the target", within_s=within_s)


class Recorder:
    """`POST /told/NAME` has an effect; `GET /told/NAME` asks for it; `GET /read/NAME` has none."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, str]] = []
        """(name, effect key) of every effect, in order."""
        self.heard_at: list[float] = []
        """When each of them happened, seconds of the monotonic clock."""
        self.reads: Counter[str] = Counter()
        self.questions: Counter[str] = Counter()
        self.url = ""
        self._port = 0
        self._holds: list[Hold] = []
        self._runner: web.AppRunner | None = None
        self._transports: set[asyncio.WriteTransport] = set()

    async def start(self, *, port: int = 0) -> None:
        """Listen on a free port, or on this one; `url` is set then."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/told/{name}", self._tell),
                web.get("/told/{name}", self._ask),
                web.get("/read/{name}", self._read),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        self._remember_connections()
        site = web.TCPSite(self._runner, HOST, port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{HOST}:{self._port}"

    async def go_away(self) -> None:
        """Refuse every connection, until `come_back`."""
        assert self._runner is not None
        await self._runner.cleanup()
        self._runner = None

    async def come_back(self) -> None:
        """Listen again where it listened before."""
        await self.start(port=self._port)

    async def stop(self) -> None:
        """Let go of everybody and close."""
        for hold in self._holds:
            hold.released.set()
        if self._runner is None:
            return
        for site in list(self._runner.sites):
            await site.stop()
        # A caller that was accepted just now is known to the server a few turns later only, and
        # what is closed lets go of its socket in the turn after.
        await _turns()
        await self._runner.cleanup()
        for transport in self._transports:
            transport.abort()
        await _turns()

    def _remember_connections(self) -> None:
        """Keep hold of every connection: a caller that is killed leaves one that nobody closes."""
        server = self._runner.server if self._runner is not None else None
        assert server is not None
        made = server.connection_made

        def connection_made(handler: Any, transport: asyncio.Transport) -> None:
            self._transports.add(transport)
            made(handler, transport)

        server.connection_made = connection_made  # type: ignore[method-assign]

    @contextmanager
    def hold(self, prefix: str, *, after_effect: bool = False) -> Iterator[Hold]:
        """Make calls wait for as long as the context lasts, or until released before."""
        hold = Hold(prefix, after_effect)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            hold.released.set()
            self._holds.remove(hold)

    def count(self, name: str) -> int:
        """How often the effect of this name happened."""
        return sum(told == name for told, _ in self.effects)

    def counts(self, prefix: str) -> dict[str, int]:
        """The same for all names that begin so."""
        return dict(Counter(told for told, _ in self.effects if told.startswith(prefix)))

    async def _tell(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._wait(request, after_effect=False)
        self.effects.append((name, request.headers.get("Idempotency-Key", "")))
        self.heard_at.append(time.monotonic())
        await self._wait(request, after_effect=True)
        return web.json_response({"noted": name}, status=201)

    async def _ask(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.questions[name] += 1
        known = self.count(name) > 0
        return web.json_response({"known": known}, status=200 if known else 404)

    async def _read(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self._wait(request, after_effect=False)
        self.reads[name] += 1
        return web.json_response({"name": name})

    async def _wait(self, request: web.Request, *, after_effect: bool) -> None:
        name = request.match_info["name"]
        for hold in list(self._holds):
            if hold.after_effect is after_effect and name.startswith(hold.prefix):
                hold.waiting.append(name)
                assert request.transport is not None
                hold.ports.append(request.transport.get_extra_info("peername")[1])
                await hold.released.wait()


async def _turns(count: int = 5) -> None:
    """Let the loop go on with what it has begun."""
    for _ in range(count):
        await asyncio.sleep(0)
