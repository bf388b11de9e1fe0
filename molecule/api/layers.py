"""ASGI layers around every route: names for requests, a bound on their number, a last resort."""

import asyncio
import secrets
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from molecule.api.problems import answer_unknown, problem_of
from molecule.model.errors import OutcomeUnknown, Overloaded

_HEADERS: Final = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Naming:
    """Gives each request an id and each answer the headers that keep browsers from guessing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {header for header, _ in message["headers"]}
                added = [pair for pair in _HEADERS if pair[0] not in own]
                named = (b"molecule-request", name.encode())
                message["headers"] = [*message["headers"], *added, named]
            await send(message)

        await self._app(scope, receive, with_headers)


class Bounding:
    """Refuses requests beyond `http_requests_max` at once; `/livez` always passes."""

    def __init__(self, app: ASGIApp, requests_max: int) -> None:
        self._app = app
        self._requests_max = requests_max
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"] == "/livez":
            await self._app(scope, receive, send)
            return
        if self._held >= self._requests_max:
            message = f"this gateway holds http_requests_max of {self._requests_max} requests"
            error = Overloaded(message, limit="http_requests_max", allowed=self._requests_max)
            refusal = problem_of(error).response(request=scope["state"]["request_id"])
            await refusal(scope, receive, send)
            return
        self._held += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._held -= 1


class Shielding:
    """Answers for faults of ours, inside the other layers, so that such an answer is named too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        has_begun = False

        async def note_begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_begin)
        except asyncio.CancelledError:
            # The gateway stops and waited long enough: the caller must not take that for an answer.
            if has_begun or scope["type"] != "http":
                raise
            stops = OutcomeUnknown("this node stops; ask another one again, with the same key")
            unknown = problem_of(stops).response(request=scope["state"]["request_id"])
            await unknown(scope, receive, send)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            answer = await answer_unknown(Request(scope), error)
            await answer(scope, receive, send)
