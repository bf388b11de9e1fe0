"""The HTTPS port against callers that are wrong, slow, large or old-fashioned."""

import asyncio
import socket
import ssl
from pathlib import Path

import httpx2
import orjson
import pytest

from molecule.api import listener
from molecule.config import Limits, TlsFiles
from molecule.model.errors import InvalidConfig, NoLeader
from tests.adapters.gateway.conftest import Authority
from tests.fakes.door import TOKEN, FakeDoor

HEAD = (
    "POST /api/v1/executions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    f"Authorization: Bearer {TOKEN}\r\n"
)


async def _say(port: int, authority: Authority, *parts: bytes) -> bytes:
    """Everything the server answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.trust())
    for part in parts:
        writer.write(part)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def test_caller_over_tls_1_3_is_answered(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/api/v1/executions?wait=5s", json={"process": "echo", "input": 1})

    assert answer.status_code == 200
    assert answer.json()["documents"][0]["value"] == 1


async def test_tls_1_2_is_refused(port: int, authority: Authority) -> None:
    context = authority.trust()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=context)


async def test_clear_text_is_never_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()

    assert b"HTTP" not in answer


async def test_caller_that_does_not_know_the_authority_refuses_us(port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())


class TestBounds:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(
            submission_body_bytes_max=1000,
            http_body_ms_max=200,
            http_header_ms_max=200,
            http_header_bytes_max=2000,
            http_idle_ms_max=1000,
        )

    async def test_body_over_the_limit_is_refused_while_it_is_still_coming(
        self, port: int, authority: Authority
    ) -> None:
        chunk = b"400\r\n" + b" " * 0x400 + b"\r\n"
        answer = await _say(
            port,
            authority,
            HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n",
            chunk,
            chunk,
        )

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["limit"] == (
            "submission_body_bytes_max"
        )

    async def test_large_body_is_told_the_limit_and_not_a_broken_connection(
        self, http: httpx2.AsyncClient
    ) -> None:
        answer = await http.post("/api/v1/executions", content=b"x" * 1500)

        assert (answer.status_code, answer.json()["allowed"]) == (413, 1000)

    async def test_body_that_comes_too_slowly_is_given_up(
        self, port: int, authority: Authority
    ) -> None:
        answer = await _say(
            port, authority, HEAD.encode() + b'Content-Length: 100\r\n\r\n{"process"'
        )

        assert answer.startswith(b"HTTP/1.1 408 ")
        told = orjson.loads(answer.partition(b"\r\n\r\n")[2])
        assert (told["code"], told["limit"], told["received_bytes"]) == (
            "body_too_slow",
            "http_body_ms_max",
            10,
        )

    async def test_headers_that_never_end_are_given_up(
        self, port: int, authority: Authority
    ) -> None:
        assert await _say(port, authority, b"GET /livez HTTP/1.1\r\nHost: x\r\n") == b""

    async def test_caller_that_says_nothing_is_given_up(
        self, port: int, authority: Authority
    ) -> None:
        assert await _say(port, authority) == b""

    async def test_headers_over_the_limit_are_refused(
        self, port: int, authority: Authority
    ) -> None:
        head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 3000

        assert (await _say(port, authority, head)).startswith(b"HTTP/1.1 400 ")

    async def test_second_request_on_a_connection_is_timed_too(
        self, port: int, authority: Authority
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.trust())
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        first = await reader.readuntil(b'{"alive":true}')
        writer.write(b"GET /livez HTT")
        rest = await reader.read()
        writer.close()

        assert first.startswith(b"HTTP/1.1 200 ")
        assert rest == b""


async def test_caller_that_goes_away_is_waited_for_by_nobody(
    http: httpx2.AsyncClient, door: FakeDoor
) -> None:
    door.stuck = True
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(
            http.post("/api/v1/executions?wait=30s", json={"process": "echo"})
        )
        await door.called(1)
        asked.cancel()
    await door.left.wait()


class TestHolding:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(door_repeat_ms=10)

    async def test_waiting_caller_is_held_over_a_restart_of_the_node_process(
        self, http: httpx2.AsyncClient, door: FakeDoor
    ) -> None:
        door.down = NoLeader("the node process is away")

        async def come_back() -> None:
            await door.called(5)
            door.down = None

        async with asyncio.TaskGroup() as group:
            asked = group.create_task(
                http.post("/api/v1/executions?wait=30s", json={"process": "echo"})
            )
            group.create_task(come_back())

        assert asked.result().status_code == 200
        assert len({call.submissions[0].idempotency_key for call in door.calls}) == 1

    async def test_caller_gets_its_key_at_its_deadline(
        self, http: httpx2.AsyncClient, door: FakeDoor
    ) -> None:
        door.down = NoLeader("the node process is away")
        answer = await http.post("/api/v1/executions?wait=100ms", json={"process": "echo"})

        assert answer.status_code == 504
        assert answer.json()["idempotency_key"] == door.calls[0].submissions[0].idempotency_key


def test_port_in_use_is_told_with_port_and_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidConfig) as refused:
            listener.bind(f"127.0.0.1:{port}", setting="http")

    assert str(refused.value) == (
        f"http: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "free the port or set http (MOLECULE_HTTP) to another"
    )


@pytest.mark.parametrize("address", ["7443", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x"])
def test_address_out_of_form_is_told(address: str) -> None:
    with pytest.raises(InvalidConfig, match="is not host:port"):
        listener.bind(address, setting="http")


def test_missing_certificate_is_told_with_its_setting(tmp_path: Path) -> None:
    files = TlsFiles(
        ca="ca.pem", certificate=str(tmp_path / "no.pem"), key=str(tmp_path / "no.key")
    )

    with pytest.raises(InvalidConfig) as refused:
        listener.tls_context(files, setting="http_tls")

    assert str(refused.value) == (
        f"http_tls: certificate {tmp_path}/no.pem with key {tmp_path}/no.key "
        "cannot be used: No such file or directory"
    )


def test_key_of_another_certificate_is_told(authority: Authority) -> None:
    wrong = TlsFiles(
        ca=authority.files.ca,
        certificate=authority.files.certificate,
        key=str(authority.folder / "ca.key"),
    )

    with pytest.raises(InvalidConfig, match="KEY_VALUES_MISMATCH"):
        listener.tls_context(wrong, setting="http_tls")
