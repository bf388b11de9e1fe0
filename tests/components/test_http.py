"""`http.request` against a real server on a free port that answers, refuses, resets and is slow."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from molecule.component.contract import Request
from molecule.connectors.http import Http
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StaleToken, StepError
from tests.components.calls import Fence, a_call, a_client, a_context, a_document, a_step

POST = "{type: http.request, connection: desk, method: POST, path: /late}"


@dataclass
class Desk:
    """Counts what it applied, by key; misbehaves by path."""

    url: str = ""
    applied: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        self.applied.append((f"{request.method} {request.raw_path}", key, content))
        self.headers.append(dict(request.headers))
        self.arrived.set()
        first = request.path.strip("/").split("/")[0]
        if first.isdecimal():
            headers = {"Retry-After": "7"} if first in {"429", "503"} else {}
            return web.json_response({"said": first}, status=int(first), headers=headers)
        if first == "lost" and request.transport is not None:
            request.transport.abort()
        if first in {"slow", "lost"}:
            await self.hold.wait()
        if first == "large":
            return web.Response(body=b"x" * 10_000)
        if first == "moved":
            raise web.HTTPFound("/late")
        if first == "broken":
            return web.Response(body=b"{", content_type="application/json")
        if first == "away":
            raise web.HTTPFound(f"{self.url.replace('127.0.0.1', 'localhost')}/late")
        if first == "text":
            return web.Response(text="hello")
        if first == "latin":
            return web.Response(text="Zürich", charset=request.query["of"])
        if first == "mistaken":
            kind = {"Content-Type": "text/plain; charset=utf-8"}
            return web.Response(body="Zürich".encode("latin-1"), headers=kind)
        return web.json_response({"id": 9007199254740993, "ok": True})


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert isinstance(site._server, asyncio.Server)
    found.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield found
    found.hold.set()
    await runner.cleanup()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Http]:
    made: Http = a_client("http", f'{{base_url: "{desk.url}", response_bytes_max: 5000}}')
    await made.open()
    yield made
    await made.close()


async def send(client: Http, config: str, value: Any = None, **call: Any) -> Any:
    operation = a_step(config).component
    request = operation.prepare(a_document(value or {"flight": "UA1"}), a_context())
    return await operation.perform(client, request, a_call(**call))


def get(path: str) -> str:
    return f"{{type: http.request, connection: desk, path: {path}}}"


async def test_a_post_sends_the_document_as_json_with_its_effect_key(
    desk: Desk, client: Http
) -> None:
    reply = await send(client, POST, key="e1/tell/0")
    assert desk.applied == [("POST /late", "e1/tell/0", b'{"flight":"UA1"}')]
    assert reply.values == ({"id": "9007199254740993", "ok": True},)
    assert desk.headers[0]["Content-Type"] == "application/json"


async def test_a_repeat_sends_the_same_bytes_under_the_same_key(desk: Desk, client: Http) -> None:
    operation = a_step(POST).component
    request = operation.prepare(a_document({"b": 1, "a": [2]}), a_context())
    for _ in range(2):
        await operation.perform(client, request, a_call("e1/tell/0"))
    assert desk.applied[0] == desk.applied[1]


@pytest.mark.parametrize(
    ("method", "effect", "output"),
    [
        ("GET", Effect.PURE, "replace"),
        ("HEAD", Effect.PURE, "replace"),
        ("PUT", Effect.IDEMPOTENT, "keep"),
        ("DELETE", Effect.IDEMPOTENT, "keep"),
        ("POST", Effect.ONCE, "keep"),
        ("PATCH", Effect.ONCE, "keep"),
    ],
)
def test_effect_and_output_follow_the_method(method: str, effect: Effect, output: str) -> None:
    step = a_step(f"{{type: http.request, connection: desk, method: {method}}}")
    assert (step.effect, step.component.default_output) == (effect, output)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (429, ErrorClass.TRANSIENT_DEFINITE),
        (503, ErrorClass.TRANSIENT_DEFINITE),
        (500, ErrorClass.TRANSIENT_UNKNOWN),
        (502, ErrorClass.TRANSIENT_UNKNOWN),
        (504, ErrorClass.TRANSIENT_UNKNOWN),
        (400, ErrorClass.PERMANENT),
        (404, ErrorClass.PERMANENT),
        (409, ErrorClass.PERMANENT),
        (501, ErrorClass.PERMANENT),
    ],
)
async def test_statuses_are_sorted_into_classes(
    client: Http, status: int, error_class: ErrorClass
) -> None:
    with pytest.raises(StepError) as raised:
        await send(client, POST.replace("/late", f"/{status}"))
    assert (raised.value.error_class, raised.value.error_code) == (error_class, f"http_{status}")
    assert raised.value.facts["status"] == status


async def test_inside_verify_no_status_is_an_error(client: Http) -> None:
    text = (
        "{type: http.request, connection: desk, method: POST, verify: {steps: [{id: ask, "
        "type: http.request, connection: desk, path: '/404/${flight}'}], done_if: status = 200}}"
    )
    verify = a_step(text).verify
    assert verify is not None
    ask = verify.steps[0].component
    request = ask.prepare(a_document({"flight": "UA1"}), a_context())
    reply = await ask.perform(client, request, a_call())
    (answer,) = reply.values
    assert (answer["status"], answer["body"]) == (404, {"said": "404"})
    assert answer["headers"]["content-type"].startswith("application/json")


async def test_an_answer_lost_after_it_was_applied_is_unknown_and_not_sent_again(
    desk: Desk, client: Http
) -> None:
    for method in ("POST", "PUT"):
        desk.applied.clear()
        config = f"{{type: http.request, connection: desk, method: {method}, path: /lost}}"
        with pytest.raises(StepError, match="after sending") as raised:
            await send(client, config)
        assert raised.value.error_class is ErrorClass.TRANSIENT_UNKNOWN
        assert len(desk.applied) == 1


async def test_a_pooled_connection_that_broke_is_not_used_to_send_twice(
    desk: Desk, client: Http
) -> None:
    await send(client, POST)
    desk.applied.clear()
    with pytest.raises(StepError) as raised:
        await send(client, "{type: http.request, connection: desk, method: PUT, path: /lost}")
    assert raised.value.error_class is ErrorClass.TRANSIENT_UNKNOWN
    assert len(desk.applied) == 1


async def test_a_time_out_after_sending_is_unknown(desk: Desk, client: Http) -> None:
    with pytest.raises(StepError, match="no answer in time, after sending") as raised:
        await send(client, POST.replace("/late", "/slow"), timeout_s=0.2)
    assert raised.value.error_class is ErrorClass.TRANSIENT_UNKNOWN
    assert raised.value.error_code == "timed_out"
    assert len(desk.applied) == 1


async def test_a_refused_connection_is_definite() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = a_client("http", f'{{base_url: "http://127.0.0.1:{port}"}}')
        await client.open()
        with pytest.raises(StepError, match="before sending") as raised:
            await send(client, POST)
        await client.close()
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE


async def test_a_name_that_does_not_resolve_is_definite() -> None:
    client = a_client("http", '{base_url: "http://desk.invalid"}')
    await client.open()
    with pytest.raises(StepError) as raised:
        await send(client, POST)
    await client.close()
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE


async def test_waiting_for_the_bounded_pool_is_before_sending(desk: Desk) -> None:
    client = a_client("http", f'{{base_url: "{desk.url}", pool: 1}}')
    await client.open()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(send(client, get("/slow"), timeout_s=5))
        await desk.arrived.wait()
        with pytest.raises(StepError, match="before sending") as raised:
            await send(client, POST, timeout_s=0.2)
        desk.hold.set()
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    assert first.result().values
    assert [what for what, _, _ in desk.applied] == ["GET /slow"]
    await client.close()


async def test_a_fence_that_is_down_lets_nothing_leave_and_passes_through(
    desk: Desk, client: Http
) -> None:
    fence = Fence(down=True)
    with pytest.raises(StaleToken):
        await send(client, POST, fence=fence)
    assert (fence.asked, desk.applied) == (1, [])
    await send(client, POST)
    assert len(desk.applied) == 1


async def test_after_the_deadline_nothing_is_sent(desk: Desk, client: Http) -> None:
    operation = a_step(POST).component
    call = a_call(timeout_s=0.0)
    with pytest.raises(StepError) as raised:
        await operation.perform(client, operation.prepare(a_document({}), a_context()), call)
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    assert desk.applied == []


async def test_an_answer_over_the_bound_fails_a_read_but_not_a_write(client: Http) -> None:
    with pytest.raises(StepError, match="response_bytes_max") as raised:
        await send(client, get("/large"))
    assert raised.value.error_class is ErrorClass.LIMIT
    reply = await send(client, POST.replace("/late", "/large"))
    assert reply.values == (None,)


async def test_redirects_are_followed_only_when_asked(desk: Desk, client: Http) -> None:
    with pytest.raises(StepError) as raised:
        await send(client, get("/moved"))
    assert (raised.value.error_class, raised.value.facts["status"]) == (ErrorClass.PERMANENT, 302)
    asked = "{type: http.request, connection: desk, path: /moved, follow_redirects: true}"
    assert (await send(client, asked)).values[0]["ok"] is True
    assert [what for what, _, _ in desk.applied] == ["GET /moved", "GET /moved", "GET /late"]


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("{type: api_key, header: X-Desk-Key}", "X-Desk-Key"),
        ("{type: bearer}", "Authorization"),
    ],
)
async def test_the_secret_does_not_follow_a_redirect_to_another_server(
    desk: Desk, auth: str, header: str
) -> None:
    settings = f'{{base_url: "{desk.url}", auth: {auth}, credential: "env:DESK"}}'
    client: Http = a_client("http", settings, {"env:DESK": "s3cret"})
    await client.open()
    try:
        for path in ("/moved", "/away"):
            asked = (
                f"{{type: http.request, connection: desk, path: {path}, follow_redirects: true}}"
            )
            await send(client, asked)
    finally:
        await client.close()
    seen = ["s3cret" in str(headers.get(header)) for headers in desk.headers]
    assert seen == [True, True, True, False]


async def test_a_text_is_read_in_the_charset_that_it_names(client: Http) -> None:
    for charset in ("iso-8859-1", "utf-8", "utf-16"):
        assert (await send(client, get(f"/latin?of={charset}"))).values == ("Zürich",)
    with pytest.raises(StepError, match="not the utf-8 text it says") as raised:
        await send(client, get("/mistaken"))
    assert raised.value.error_class is ErrorClass.DATA
    assert (await send(client, POST.replace("/late", "/mistaken"))).values == ("Z\ufffdrich",)


async def test_an_answer_that_is_not_the_json_it_says_is_a_data_error_of_a_read_only(
    client: Http,
) -> None:
    with pytest.raises(StepError, match="not the JSON") as raised:
        await send(client, get("/broken"))
    assert raised.value.error_class is ErrorClass.DATA
    assert (await send(client, POST.replace("/late", "/broken"))).values == ("{",)
    assert (await send(client, get("/text"))).values == ("hello",)


async def test_replaced_values_cannot_change_the_path(desk: Desk, client: Http) -> None:
    config = "{type: http.request, connection: desk, path: '/late/${x}/end'}"
    await send(client, config, {"x": "a/b?c=d&e#f g%2Fü"})
    path = desk.applied[0][0].removeprefix("GET ")
    assert path == "/late/a%2Fb%3Fc%3Dd%26e%23f%20g%252F%C3%BC/end"
    for climbing in ("..", "."):
        with pytest.raises(StepError, match="must not climb"):
            await send(client, config, {"x": climbing})


async def test_query_headers_and_body_are_made_from_the_document(desk: Desk, client: Http) -> None:
    config = """
        type: http.request
        connection: desk
        method: POST
        path: /late?v=1
        query: {q: "${flight}", n: 2}
        headers: {X-Flight: "${flight}"}
        body: {id: "${flight}", list: ["${n}"]}
    """
    await send(client, config, {"flight": "UA 1", "n": 7})
    assert desk.applied[0][0] == "POST /late?v=1&q=UA%201&n=2"
    assert desk.applied[0][2] == b'{"id":"UA 1","list":[7]}'
    assert desk.headers[0]["X-Flight"] == "UA 1"


def test_a_header_value_with_a_line_end_is_an_error_of_the_document() -> None:
    step = a_step("{type: http.request, connection: d, headers: {X-A: '${x}'}}").component
    with pytest.raises(StepError, match="is no header") as raised:
        step.prepare(a_document({"x": "a\r\nX-B: c"}), a_context())
    assert raised.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ("{type: bearer}", "Authorization", "Bearer s3cret"),
        ("{type: basic, user: me}", "Authorization", "Basic bWU6czNjcmV0"),
        ("{type: api_key, header: X-Key}", "X-Key", "s3cret"),
    ],
)
async def test_a_credential_is_sent_and_stands_in_no_request(
    desk: Desk, auth: str, header: str, value: str
) -> None:
    settings = f'{{base_url: "{desk.url}", auth: {auth}, credential: "env:DESK"}}'
    client = a_client("http", settings, {"env:DESK": "s3cret"})
    await client.open()
    operation = a_step(POST).component
    request: Request = operation.prepare(a_document({}), a_context())
    await operation.perform(client, request, a_call())
    await client.close()
    assert desk.headers[0][header] == value
    assert "s3cret" not in str(request)
