"""The bench's own HTTP: an answer is taken by its length, a request says who asks."""

import asyncio

import pytest

from tests.bench.https import Caller, post


class Sink:
    """Takes what is written."""

    def write(self, data: bytes) -> None:
        self.data = data


def caller(answer: bytes) -> Caller:
    reader = asyncio.StreamReader()
    reader.feed_data(answer)
    reader.feed_eof()
    return Caller(reader, Sink())  # type: ignore[arg-type]  # writes only


async def test_an_answer_is_read_by_its_length() -> None:
    asked = caller(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}HTTP")
    assert await asked.call(b"any") == (200, b"{}")


async def test_an_answer_without_a_length_is_not_understood() -> None:
    with pytest.raises(ValueError, match="not found"):
        await caller(b"HTTP/1.1 200 OK\r\n\r\n").call(b"any")


def test_a_request_carries_token_key_and_length() -> None:
    request = post("/x", b"{}", address="h:1", token="t", key="k")
    assert request == (
        b"POST /x HTTP/1.1\r\nhost: h:1\r\nauthorization: Bearer t\r\nidempotency-key: k\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
