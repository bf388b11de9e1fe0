"""Which listener takes a request: learned from the node process, kept for a moment.

The gateway keeps nothing that it could not learn again. What must stay true: a path that was
applied before a request came is found, because a miss asks behind everything committed by then.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from molecule.api import hold
from molecule.api.door import DoorClient
from molecule.api.hold import Patience
from molecule.api.problems import MethodNotAllowed
from molecule.api.surface import nothing_happened
from molecule.config import Limits
from molecule.model import http_path
from molecule.model.errors import NotFound
from molecule.wire.v1.door_pb2 import ReadReply, ReadRequest


@dataclass(frozen=True, slots=True)
class Route:
    """One listener, as the node process shows it."""

    environment: str
    process: str
    method: str
    path: str
    reply: str
    auth: str
    timeout_ms: int
    body_bytes_max: int
    checked: bool


class Routes:
    """What this gateway knows of the listeners."""

    def __init__(self, door: DoorClient, limits: Limits, patience: Patience) -> None:
        self._door = door
        self._limits = limits
        self._patience = patience
        self._known: list[Route] = []
        self._asked_s: float | None = None
        """When the last answer was asked for; what was applied before that is in it."""
        self._one = asyncio.Lock()

    async def find(self, method: str, parts: Sequence[str]) -> tuple[Route, dict[str, str]]:
        """The listener of these path parts and its parameters.

        `NotFound` when there is none, `MethodNotAllowed` when there is one for another method.
        """
        came_s = self._patience.now_s()
        kept_s = self._limits.listeners_kept_ms / 1000
        if self._asked_s is None or came_s - self._asked_s > kept_s:
            await self._learn(came_s, fresh=self._asked_s is None)
        found = self._match(method, parts)
        if found is None:
            await self._learn(came_s, fresh=True)
            found = self._match(method, parts)
        if found is not None:
            return found
        allowed = sorted({route.method for route, _ in self._fitting(parts)})
        if allowed:
            message = f"{method} is not possible there; use {', '.join(allowed)}"
            raise MethodNotAllowed(message, allowed=", ".join(allowed))
        raise NotFound("nothing listens at this path")

    def forget(self) -> None:
        """What is known was wrong: ask again before the next request."""
        self._asked_s = None

    def _match(self, method: str, parts: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        fitting = [found for found in self._fitting(parts) if found[0].method == method]
        return min(fitting, key=lambda found: http_path.precedence(found[0].path), default=None)

    def _fitting(self, parts: Sequence[str]) -> list[tuple[Route, dict[str, str]]]:
        if not parts:
            return []
        environment, *rest = parts
        matched = (
            (route, http_path.match(route.path, rest))
            for route in self._known
            if route.environment == environment
        )
        return [(route, found) for route, found in matched if found is not None]

    async def _learn(self, came_s: float, *, fresh: bool) -> None:
        # One asks for all that wait: what was asked for after a request came is fresh enough.
        async with self._one:
            if self._asked_s is not None and self._asked_s > came_s:
                return
            asked_s = self._patience.now_s()
            reply = await self._read(fresh=fresh)
            self._known = [Route(**item) for item in orjson.loads(reply.json)["items"]]
            self._asked_s = asked_s

    async def _read(self, *, fresh: bool) -> ReadReply:
        asked = ReadRequest(resource="listeners", fresh=fresh)
        asking = hold.ask(
            lambda left_s: self._door.read(asked, timeout_s=left_s),
            patience=self._patience,
            within_s=self._limits.door_wait_for_leader_ms / 1000,
        )
        return await nothing_happened(asking)
