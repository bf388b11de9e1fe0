"""What a client writes down of a request, by what a real server did with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from aiohttp import web

from chaos.declared import Bounds, Header
from chaos.records import Answered, Outcome, Submit
from chaos.runner.recording import Recording
from molecule.cli.local_files import HOST, free_ports

ASK = Submit(process="p", idempotency_key="k", digest="d")


async def answer(request: web.Request) -> web.StreamResponse:
    match request.match_info["how"]:
        case "ok":
            return web.json_response({"execution": "e1"})
        case "definite":
            return web.json_response({"code": "limit", "definite": True}, status=429)
        case "open":
            return web.json_response({"code": "internal", "definite": False}, status=500)
        case "words":
            return web.Response(text="bad gateway", status=502)
        case "never":
            await asyncio.sleep(3600)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{how}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    yield f"http://{HOST}:{runner.addresses[0][1]}"
    await runner.cleanup()


def execution(response: httpx2.Response) -> dict[str, Any]:
    return {"execution": response.json()["execution"]}


async def asked(recording: Recording, url: str, *, timeout_s: float = 20.0) -> Answered:
    async with httpx2.AsyncClient(timeout=timeout_s, trust_env=False) as http:
        return await recording.ask("c", ASK, lambda: http.post(url), execution)


@pytest.mark.parametrize(
    ("how", "outcome", "code"),
    [
        ("ok", Outcome.OK, ""),
        ("definite", Outcome.REFUSED, "limit"),
        ("open", Outcome.UNKNOWN, "internal"),
        ("words", Outcome.UNKNOWN, "status 502"),
        ("gone", Outcome.UNKNOWN, "RemoteProtocolError"),
    ],
)
async def test_only_a_definite_refusal_says_that_nothing_happened(
    url: str, how: str, outcome: Outcome, code: str
) -> None:
    answered = await asked(Recording(), f"{url}/{how}")

    assert (answered.outcome, answered.code) == (outcome, code)
    assert answered.execution == ("e1" if outcome is Outcome.OK else "")


async def test_a_request_that_met_nobody_was_refused() -> None:
    answered = await asked(Recording(), f"http://{HOST}:{free_ports(1, first=None)[0]}/")

    assert (answered.outcome, answered.code) == (Outcome.REFUSED, "ConnectError")


async def test_a_client_that_is_stopped_leaves_its_request_unknown(url: str) -> None:
    recording = Recording()
    recording.add(
        Header,
        seed=1,
        commit="",
        workload="w",
        nodes=("n1",),
        processes={},
        bounds=Bounds(late_effect_ms=0),
    )
    asking = asyncio.create_task(asked(recording, f"{url}/never"))
    while len(recording.records) < 2:  # noqa: ASYNC110  # nothing tells that it has begun
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    (operation,) = recording.closed().operations
    assert (operation.answered.outcome, operation.answered.code) == (Outcome.UNKNOWN, "abandoned")
