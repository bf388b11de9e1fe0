"""A small certified world: an authority, two nodes and a service that answers who called."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc

from molecule.config import Limits
from molecule.rpc import certificates
from molecule.rpc.certificates import Credentials, KeyPair
from molecule.rpc.identity import Identity, caller
from molecule.rpc.server import PeerServer
from molecule.rpc.tls import Admit, LiveCredentials, everybody

CLUSTER = "flights"
LIMITS = Limits()


@cache
def authority(cluster: str = CLUSTER) -> KeyPair:
    return certificates.create_authority(cluster)


@cache
def node_pair(node: str, cluster: str = CLUSTER) -> KeyPair:
    return certificates.issue_node(
        authority(), cluster=cluster, node=node, addresses=("127.0.0.1",)
    )


def credentials(node: str) -> Credentials:
    return material(node_pair(node), node)


def material(pair: KeyPair, node: str, cluster: str = CLUSTER) -> Credentials:
    """Unchecked, as an attacker would use it."""
    return Credentials(
        ca_pem=authority().certificate_pem,
        certificate_pem=pair.certificate_pem,
        key_pem=pair.key_pem,
        identity=Identity(cluster, "node", node),
        expires_at=certificates.expires_at(pair.certificate_pem),
        fingerprint=certificates.fingerprint(pair.certificate_pem),
    )


def live(node: str) -> LiveCredentials:
    return LiveCredentials(credentials(node))


@dataclass(frozen=True, slots=True)
class Files:
    ca: Path
    certificate: Path
    key: Path


def written(folder: Path, pair: KeyPair, ca: KeyPair | None = None) -> Files:
    files = Files(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    files.ca.write_bytes((ca or authority()).certificate_pem)
    certificates.write(pair, files.certificate, files.key)
    return files


class Echo:
    """Answers with who called; fails as it is told."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.calls = 0

    def add_to(self, servicer: object, server: Any) -> None:
        del servicer
        handlers = {
            "Single": grpc.unary_unary_rpc_method_handler(self.single),
            "Stream": grpc.stream_stream_rpc_method_handler(self.stream),
        }
        server.add_registered_method_handlers("echo", handlers)

    async def single(self, request: bytes, _: Any) -> bytes:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return request + b" of " + caller().uri.encode()

    async def stream(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def serving(
    echo: Echo, node: str = "n1", *, admit: Admit = everybody, address: str = "127.0.0.1:0"
) -> AsyncIterator[PeerServer]:
    server = PeerServer(address, live(node), limits=LIMITS, admit=admit)
    server.register(echo.add_to, echo)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def say(channel: Any, text: bytes = b"word") -> bytes:
    answer: bytes = await channel.unary_unary("/echo/Single")(text, timeout=10)
    return answer
