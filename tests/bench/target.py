"""A target outside the cluster: `/held/NAME` answers when told, `/doubt/KEY` never answers at all.

It notes when each call arrived, by the monotonic clock that the faults are timed with.
"""

import asyncio
import time
from collections import defaultdict

from aiohttp import web

from molecule.cli.local_files import HOST
from molecule.cli.waiting import until


class Target:
    """Lives in the process of the bench."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived: dict[str, list[float]] = defaultdict(list)
        """By name, the instants of its calls."""
        self._released: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port; `url` is set then."""
        app = web.Application()
        app.add_routes([web.get("/held/{name}", self._held), web.post("/doubt/{key}", self._doubt)])
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Let go of everybody and close."""
        for released in self._released.values():
            released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def release(self, name: str) -> None:
        """Answer everybody who is held under this name, from now on."""
        self._released[name].set()

    async def calls(self, names: list[str], count: int, *, within_s: float) -> float:
        """Wait until each name was called so often; the instant of the last of these calls."""

        async def look() -> bool | None:
            return True if all(len(self.arrived[name]) >= count for name in names) else None

        what = f"{count} calls of each of {len(names)} names"
        await until(look, what=what, within_s=within_s, pause_s=0.005)
        return max(self.arrived[name][count - 1] for name in names)

    async def _held(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.arrived[name].append(time.monotonic())
        await self._released[name].wait()
        return web.json_response({})

    async def _doubt(self, request: web.Request) -> web.Response:
        self.arrived[request.match_info["key"]].append(time.monotonic())
        # Nobody will know whether it happened.
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
