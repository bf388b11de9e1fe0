"""The recording target: a server outside of the cluster that writes down each effect it has.

`POST /keyed/STEP/NAME` applies an effect key once; `POST /plain/STEP/NAME` whatever arrives;
`GET` of either asks whether it was applied. It can be told to be slow, to fail before it applies,
or to apply and lose the answer. What must stay true: an effect is written down before anybody can
hear of it, and a call that failed had none.
"""

import asyncio
import hashlib
import random
from dataclasses import dataclass, field

from aiohttp import web

from chaos.records import EffectSeen
from chaos.runner.recording import Recording
from molecule.cli.local_files import HOST

NAME = "target"
SLOW = "slow"
"""Steps whose name begins so are answered late: what calls them runs long."""
_SLOW_S = 0.4


@dataclass(slots=True)
class Mood:
    """How the target behaves now; changed by faults alone."""

    fails: float = 0.0
    """Chance that a call fails before it has an effect."""
    loses_answer: float = 0.0
    """Chance that a call has its effect and the connection is closed instead of answered."""
    delay_s: float = 0.0
    """Waited between effect and answer."""


@dataclass(slots=True)
class Target:
    """Made, started, used by one run, closed."""

    recording: Recording
    rng: random.Random
    mood: Mood = field(default_factory=Mood)
    hits: int = 0
    """Calls that the present mood harmed."""
    url: str = ""
    _keys: set[str] = field(default_factory=set)
    _applied: set[str] = field(default_factory=set)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on a free port; `url` is set then."""
        app = web.Application()
        for kind in ("keyed", "plain"):
            app.router.add_post(f"/{kind}/{{step}}/{{name}}", self._effect)
            app.router.add_get(f"/{kind}/{{step}}/{{name}}", self._asked)
        self._runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _effect(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mood = self.mood
        if self.rng.random() < mood.fails:
            self.hits += 1
            return web.json_response({"why": "told to fail"}, status=503)
        key = request.headers.get("Idempotency-Key", "")
        is_new = request.path.startswith("/plain/") or key not in self._keys
        self._keys.add(key)
        self._applied.add(request.path)
        self.recording.add(
            EffectSeen,
            target=NAME,
            effect_key=key,
            origin=key.split("/")[0],
            step=request.match_info["step"],
            digest=hashlib.sha256(body).hexdigest(),
            applied=is_new,
        )
        if request.match_info["step"].startswith(SLOW):
            await asyncio.sleep(_SLOW_S)
        if mood.delay_s:
            self.hits += 1
            await asyncio.sleep(mood.delay_s)
        if self.rng.random() < mood.loses_answer:
            self.hits += 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response({"done": True}, status=201)

    async def _asked(self, request: web.Request) -> web.Response:
        known = request.path in self._applied
        return web.json_response({"known": known}, status=200 if known else 404)
