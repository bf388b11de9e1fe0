"""Calls over one stream: each gets its own answer or error, and none is lost with the stream."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from molecule.config import Limits
from molecule.model.errors import (
    DeadlineExceeded,
    MoleculeError,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from molecule.rpc import submissions
from molecule.rpc.local_channel import local_channel
from molecule.rpc.server import LocalServer
from molecule.rpc.submissions import SubmissionCalls
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1.submissions_pb2 import SubmitAnswerBatch
from molecule.wire.v1.submissions_pb2_grpc import (
    SubmissionsStub,
    add_SubmissionsServicer_to_server,
)

SECRET = "between the two"


@dataclass
class Node:
    """Answers `echo` at once and fails `broken`; `stuck` waits until it is given up."""

    path: Path
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0

    async def Carry(self, request_iterator: Any, context: Any) -> None:
        self.streams += 1

        async def write(answers: Any) -> None:
            await context.write(SubmitAnswerBatch(answers=answers))

        await submissions.serve(request_iterator, write, self.answer, limits=Limits())

    async def answer(self, request: d.SubmitRequest, left_s: float) -> d.SubmitReply:
        match request.process:
            case "missing":
                raise NotFound("no process missing", process="missing")
            case "broken":
                raise ValueError("a fault of ours")
            case "stuck":
                self.reached.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.given_up.set()
        return d.SubmitReply(results=[d.SubmitResult(execution=request.version)])

    async def start(self) -> LocalServer:
        server = LocalServer(self.path, secret=SECRET, limits=Limits())
        server.register(add_SubmissionsServicer_to_server, self)
        await server.start()
        return server


def as_it_came(error: MoleculeError) -> MoleculeError:
    return error


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    tmp_path.chmod(0o700)
    return Node(tmp_path / "node.sock")


@pytest.fixture
async def calls(node: Node) -> AsyncIterator[SubmissionCalls]:
    channel = local_channel(node.path, secret=SECRET, role="gateway", name="n1", limits=Limits())
    calls = SubmissionCalls(SubmissionsStub(channel), Limits(), as_it_came)
    running = asyncio.ensure_future(calls.run())
    yield calls
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await channel.close()


async def test_each_call_gets_its_own_answer_over_one_stream(
    node: Node, calls: SubmissionCalls
) -> None:
    server = await node.start()
    asked = [
        calls.submit(d.SubmitRequest(process="echo", version=str(number)), timeout_s=30)
        for number in range(50)
    ]
    replies = await asyncio.gather(*asked)
    await server.stop()
    assert [reply.results[0].execution for reply in replies] == [str(n) for n in range(50)]
    assert node.streams == 1


async def test_an_error_comes_back_as_it_was_raised_and_the_stream_goes_on(
    node: Node, calls: SubmissionCalls
) -> None:
    server = await node.start()
    with pytest.raises(NotFound) as found:
        await calls.submit(d.SubmitRequest(process="missing"), timeout_s=30)
    with pytest.raises(MoleculeError, match="its log says why") as broken:
        await calls.submit(d.SubmitRequest(process="broken"), timeout_s=30)
    await calls.submit(d.SubmitRequest(process="echo"), timeout_s=30)
    await server.stop()
    assert found.value.facts["process"] == "missing"
    assert (broken.value.code, broken.value.definite) == ("internal", False)
    assert node.streams == 1


async def test_a_caller_that_goes_away_is_given_up_by_the_node(
    node: Node, calls: SubmissionCalls
) -> None:
    server = await node.start()
    asking = asyncio.ensure_future(calls.submit(d.SubmitRequest(process="stuck"), timeout_s=30))
    await node.reached.wait()
    asking.cancel()
    await node.given_up.wait()
    await server.stop()


async def test_a_call_that_is_not_answered_in_time_is_given_up_too(
    node: Node, calls: SubmissionCalls
) -> None:
    server = await node.start()
    with pytest.raises(DeadlineExceeded):
        await calls.submit(d.SubmitRequest(process="stuck"), timeout_s=0.5)
    await node.given_up.wait()
    await server.stop()


async def test_nobody_knows_what_became_of_a_call_whose_stream_broke(
    node: Node, calls: SubmissionCalls
) -> None:
    server = await node.start()
    asking = asyncio.ensure_future(calls.submit(d.SubmitRequest(process="stuck"), timeout_s=30))
    await node.reached.wait()
    await server.stop()
    with pytest.raises(OutcomeUnknown):
        await asking
    server = await node.start()
    await calls.submit(d.SubmitRequest(process="echo"), timeout_s=30)
    await server.stop()
    assert node.streams == 2


async def test_without_a_node_process_a_call_is_refused_for_sure(calls: SubmissionCalls) -> None:
    with pytest.raises(Unavailable):
        await calls.submit(d.SubmitRequest(process="echo"), timeout_s=30)
