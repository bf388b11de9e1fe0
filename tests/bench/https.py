"""One kept HTTPS connection of one caller, cheap enough not to be what is measured.

It speaks the part of HTTP/1.1 that the gateway answers with: a head, a length and a body. What must
stay true: an answer that is not understood raises, so a figure never counts it.
"""

import asyncio
import ssl
from typing import Self

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Caller:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: str, context: ssl.SSLContext) -> Self:
        """Dial and shake hands."""
        host, port = address.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=context, limit=32 * 1024 * 1024
        )
        return cls(reader, writer)

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(_HEAD_END)
        lower = head.lower()
        place = lower.index(_LENGTH) + len(_LENGTH)
        length = int(lower[place : lower.index(b"\r", place)])
        body = await self._reader.readexactly(length)
        return int(head[9:12]), body

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()


def post(path: str, body: bytes, *, address: str, token: str, key: str = "") -> bytes:
    """The bytes of a request."""
    named = f"idempotency-key: {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{named}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
