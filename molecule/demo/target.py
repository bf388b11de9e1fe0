"""The airline desk of the demo: a separate process with a memory of its own, and no mercy.

It honours no idempotency key: it does what it is told as often as it is told, and writes every call
into its own file before it answers. Each answer comes after a delay, so that a crash can fall
between the effect and the answer.
"""

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

from aiohttp import web

ANSWER_DELAY_S: Final = 0.020
_KEY_HEADER: Final = "Idempotency-Key"


class Ledger:
    """An append-only file of what happened, and an index of it for questions."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._told: set[tuple[str, str]] = set()

    def told(self, key: str, flight: str, at: str) -> None:
        """A call had its effect."""
        self._told.add((flight, at))
        self._append({"kind": "told", "key": key, "flight": flight, "at": at})

    def asked(self, flight: str, at: str) -> bool:
        """Somebody wants to know whether it had."""
        known = (flight, at) in self._told
        self._append({"kind": "asked", "flight": flight, "at": at, "known": known})
        return known

    def _append(self, line: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")


def application(ledger: Ledger, *, delay_s: float = ANSWER_DELAY_S) -> web.Application:
    """`POST /late` tells; `GET /late/FLIGHT/AT` asks: 200 known, 404 unknown."""

    async def tell(request: web.Request) -> web.Response:
        late = await request.json()
        ledger.told(request.headers.get(_KEY_HEADER, ""), late["flight"], late["at"])
        await asyncio.sleep(delay_s)
        return web.json_response({"noted": True}, status=201)

    async def ask(request: web.Request) -> web.Response:
        known = ledger.asked(request.match_info["flight"], request.match_info["at"])
        await asyncio.sleep(delay_s)
        return web.json_response({"known": known}, status=200 if known else 404)

    async def alive(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    app = web.Application()
    app.add_routes(
        [web.post("/late", tell), web.get("/late/{flight}/{at}", ask), web.get("/", alive)]
    )
    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    asked = parser.parse_args()
    app = application(Ledger(asked.file))
    web.run_app(app, host="127.0.0.1", port=asked.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
