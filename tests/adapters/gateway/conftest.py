"""A gateway on a free port over TLS, in this process, before a fake door."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from molecule.api import listener
from molecule.api.application import build
from molecule.config import Limits, TlsFiles
from molecule.rpc import certificates
from tests.fakes.door import TOKEN, FakeDoor


@dataclass(frozen=True)
class Authority:
    """Files of a development authority and of one gateway's certificate."""

    folder: Path
    files: TlsFiles

    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.files.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("tls")
    pair = certificates.create_authority("test")
    certificates.write(pair, folder / "ca.pem", folder / "ca.key")
    front = certificates.issue_gateway(
        pair, cluster="test", name="n1", addresses=["127.0.0.1", "localhost"]
    )
    certificates.write(front, folder / "gateway.pem", folder / "gateway.key")
    files = TlsFiles(
        ca=str(folder / "ca.pem"),
        certificate=str(folder / "gateway.pem"),
        key=str(folder / "gateway.key"),
    )
    return Authority(folder, files)


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def port(door: FakeDoor, limits: Limits, authority: Authority) -> AsyncIterator[int]:
    context = listener.tls_context(authority.files, setting="http_tls")
    listening = listener.bind("127.0.0.1:0", setting="http")
    server = listener.server(build(door, limits), context, limits=limits)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listening]))
        yield listening.getsockname()[1]
        server.stop()


@pytest.fixture
async def http(port: int, authority: Authority) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=f"https://127.0.0.1:{port}",
        verify=authority.trust(),
        trust_env=False,
        headers={"authorization": f"Bearer {TOKEN}"},
    ) as client:
        yield client


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
