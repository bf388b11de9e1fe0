"""The gateway as a process: before a node process that comes and goes, under a supervisor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from molecule.config import Limits, NodeConfig
from molecule.model.errors import MoleculeError
from molecule.rpc import errors, submissions
from molecule.rpc.server import LocalServer
from molecule.wire.v1.door_pb2_grpc import DoorServicer, add_DoorServicer_to_server
from molecule.wire.v1.submissions_pb2 import SubmitAnswerBatch
from molecule.wire.v1.submissions_pb2_grpc import add_SubmissionsServicer_to_server
from tests.adapters.gateway.conftest import Authority
from tests.fakes.door import TOKEN, FakeDoor

SECRET = "between gateway and node process"

# The gateway ends with its parent, so it is started by one that can be killed.
PARENT = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-m", "molecule.gateway"],
    env={**os.environ, "MOLECULE_SUPERVISOR_PID": str(os.getpid())},
)
print(child.pid, flush=True)
sys.exit(child.wait())
"""


class DoorService(DoorServicer):
    """The fake door over gRPC."""

    def __init__(self, door: FakeDoor) -> None:
        self._door = door

    async def Await(self, request: Any, context: Any) -> Any:
        return await _told(self._door.wait_for(request, timeout_s=0), context)

    async def Read(self, request: Any, context: Any) -> Any:
        return await _told(self._door.read(request, timeout_s=0), context)

    async def Act(self, request: Any, context: Any) -> Any:
        return await _told(self._door.act(request, timeout_s=0), context)


class SubmissionsService:
    """The same for what comes over a stream."""

    def __init__(self, door: FakeDoor) -> None:
        self._door = door

    async def Carry(self, request_iterator: Any, context: Any) -> None:
        async def write(answers: Any) -> None:
            await context.write(SubmitAnswerBatch(answers=answers))

        async def answer(request: Any, left_s: float) -> Any:
            return await self._door.submit(request, timeout_s=left_s)

        await submissions.serve(request_iterator, write, answer, limits=Limits())


async def _told(answer: Any, context: Any) -> Any:
    try:
        return await answer
    except MoleculeError as error:
        await context.abort(
            errors.status(error), errors.details(error), trailing_metadata=errors.metadata(error)
        )


@dataclass
class Node:
    """What stands around the gateway under test."""

    folder: Path
    authority: Authority
    port: int
    door: FakeDoor = field(default_factory=FakeDoor)
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "node.sock"

    def environ(self, **more: str) -> dict[str, str]:
        config = NodeConfig(
            id="n1",
            data=str(self.folder),
            http=f"127.0.0.1:{self.port}",
            tls=self.authority.files,
            admin_token_file="unused",
            limits=Limits(http_bind_ms_max=200),
        )
        return {
            **os.environ,
            "MOLECULE_NODE_CONFIG": config.model_dump_json(),
            "MOLECULE_LOCAL_SOCKET": str(self.socket),
            "MOLECULE_LOCAL_SECRET": SECRET,
            **more,
        }

    async def start(self, *command: str, **more: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env=self.environ(**more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.started.append(process)
        return process

    async def start_gateway(self) -> asyncio.subprocess.Process:
        """Started, and its first line heard: it listens."""
        process = await self.start(
            "-m", "molecule.gateway", MOLECULE_SUPERVISOR_PID=str(os.getpid())
        )
        assert process.stderr is not None
        assert orjson.loads(await process.stderr.readline())["msg"] == "gateway_started"
        return process

    async def serve_door(self) -> LocalServer:
        server = LocalServer(self.socket, secret=SECRET, limits=Limits())
        server.register(add_DoorServicer_to_server, DoorService(self.door))
        server.register(add_SubmissionsServicer_to_server, SubmissionsService(self.door))
        await server.start()
        return server

    def http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=self.authority.trust(),
            trust_env=False,
            timeout=30,
            headers={"authorization": f"Bearer {TOKEN}"},
        )


@pytest.fixture
async def node(tmp_path: Path, authority: Authority, free_port: int) -> AsyncIterator[Node]:
    tmp_path.chmod(0o700)
    node = Node(tmp_path, authority, free_port)
    yield node
    for process in node.started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_gateway_answers_through_the_unix_socket_and_ends_well(node: Node) -> None:
    server = await node.serve_door()
    gateway = await node.start_gateway()
    async with node.http() as http:
        answer = await http.post("/api/v1/executions?wait=10s", json={"process": "echo"})
        unknown = await http.post("/api/v1/executions", json={"process": "nowhere"})
    gateway.send_signal(signal.SIGTERM)
    code = await gateway.wait()
    await server.stop()

    assert answer.json()["state"] == "COMPLETED"
    assert unknown.status_code == 404
    assert code == 0


async def test_gateway_holds_a_caller_while_the_node_process_restarts(node: Node) -> None:
    node.door.stuck = True
    server = await node.serve_door()
    await node.start_gateway()
    async with node.http() as http, asyncio.TaskGroup() as group:
        await server.stop()
        asked = group.create_task(
            http.post("/api/v1/executions?wait=20s", json={"process": "echo", "input": 7})
        )
        server = await node.serve_door()
        await node.door.called(1)
        # It dies again, now with the call in its hands: what it accepted is asked for by key.
        await server.stop()
        node.door.stuck = False
        server = await node.serve_door()
        answer = await asked
    await server.stop()

    assert answer.status_code == 200
    assert answer.json()["documents"][0]["value"] == 7
    assert len(node.door.keys) == 1


async def test_gateway_that_stops_tells_a_held_caller_the_key_to_ask_again_with(
    node: Node,
) -> None:
    server = await node.serve_door()
    gateway = await node.start_gateway()
    async with node.http() as http, asyncio.TaskGroup() as group:
        node.door.stuck = True
        asked = group.create_task(
            http.post("/api/v1/executions?wait=20s", json={"process": "echo"})
        )
        await node.door.called(1)
        await server.stop()
        gateway.send_signal(signal.SIGTERM)
        answer = await asked
    await gateway.wait()

    told = answer.json()
    assert (answer.status_code, told["code"], told["definite"]) == (504, "outcome_unknown", False)
    assert told["idempotency_key"] in node.door.keys


async def test_gateway_that_stops_in_the_middle_of_a_call_says_that_nobody_knows(
    node: Node,
) -> None:
    server = await node.serve_door()
    gateway = await node.start_gateway()
    async with node.http() as http, asyncio.TaskGroup() as group:
        node.door.stuck = True
        asked = group.create_task(
            http.post("/api/v1/executions?wait=20s", json={"process": "echo"})
        )
        await node.door.called(1)
        gateway.send_signal(signal.SIGTERM)
        answer = await asked
    await gateway.wait()
    await server.stop()

    assert (answer.status_code, answer.json()["definite"]) == (504, False)


async def test_gateway_without_a_node_process_lives_but_is_not_ready(node: Node) -> None:
    await node.start_gateway()
    async with node.http() as http:
        alive = await http.get("/livez")
        ready = await http.get("/readyz")

    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["reasons"] == [
        (
            "the node process does not answer: "
            "the node process of this node is away, it is being started"
        )
    ]


async def test_gateway_ends_with_its_parent(node: Node) -> None:
    parent = await node.start("-c", PARENT)
    assert parent.stdout is not None
    assert parent.stderr is not None
    pid = int(await parent.stdout.readline())
    assert b"gateway_started" in await parent.stderr.readline()
    gateway = os.pidfd_open(pid)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(gateway, ended.set)
    parent.kill()
    await ended.wait()
    asyncio.get_running_loop().remove_reader(gateway)
    os.close(gateway)


async def test_gateway_started_by_nobody_says_how_to_start_a_node(node: Node) -> None:
    environ = node.environ()
    del environ["MOLECULE_NODE_CONFIG"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "molecule.gateway", env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()

    assert process.returncode == 78
    assert "MOLECULE_NODE_CONFIG is not set: start a node with `molecule serve`" in told.decode()


async def test_gateway_whose_port_is_taken_says_so_and_ends_for_good(node: Node) -> None:
    await node.start_gateway()
    second = await node.start("-m", "molecule.gateway", MOLECULE_SUPERVISOR_PID=str(os.getpid()))
    _, told = await second.communicate()

    assert second.returncode == 78
    line = orjson.loads(told)
    assert (line["level"], line["msg"]) == ("error", "gateway_not_started")
    assert line["reason"] == (
        f"http: cannot listen on 127.0.0.1:{node.port}: Address already in use; "
        "free the port or set http (MOLECULE_HTTP) to another"
    )
