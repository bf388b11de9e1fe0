"""The command line before a cluster in memory: a real application over a fake door, no network."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from molecule.api.application import build
from molecule.cli import calls, main, rival
from molecule.config import Limits
from tests.fakes.door import TOKEN, FakeDoor
from tests.fakes.patience import VirtualTime


class Nodes(httpx2.BaseTransport):
    """Two nodes that answer with one application. `silent` ones raise instead."""

    def __init__(self, door: FakeDoor) -> None:
        self._app = build(door, Limits(), patience=VirtualTime().patience())
        self.silent: dict[str, Callable[[httpx2.Request], Exception]] = {}
        self.asked: list[tuple[str, str]] = []
        self.keys: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append((request.url.host, f"{request.method} {request.url.path}"))
        self.keys.append(request.headers.get("idempotency-key", ""))
        if request.url.host in self.silent:
            raise self.silent[request.url.host](request)
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self._app)
        async with httpx2.AsyncClient(transport=transport) as client:
            answer = await client.request(
                request.method, request.url, headers=request.headers, content=request.read()
            )
        return httpx2.Response(
            answer.status_code, headers=dict(answer.headers), content=answer.content
        )


@dataclass
class Said:
    """What a command said and ended with."""

    code: int
    out: str
    talk: str


@dataclass
class Shell:
    """Runs `molecule …` in a folder that holds a context."""

    folder: Path
    nodes: Nodes
    capture: pytest.CaptureFixture[str]
    history: list[Said] = field(default_factory=list)

    def run(self, *tokens: str) -> Said:
        code = main.main(tokens)
        captured = self.capture.readouterr()
        said = Said(code, captured.out, captured.err)
        self.history.append(said)
        return said


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def shell(
    door: FakeDoor,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    nodes = Nodes(door)
    (tmp_path / ".molecule").mkdir()
    (tmp_path / ".molecule" / "token").write_text(f"{TOKEN}\n")
    context = {"urls": ["https://n1:1", "https://n2:1"], "ca": "ca.pem", "token_file": "token"}
    (tmp_path / ".molecule" / "context.json").write_text(json.dumps(context))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOLECULE_CONTEXT", raising=False)
    monkeypatch.setattr(rival, "refuse", lambda: None)
    real = calls.Cluster.__init__
    monkeypatch.setattr(
        calls.Cluster, "__init__", lambda self, context: real(self, context, transport=nodes)
    )
    return Shell(tmp_path, nodes, capsys)
