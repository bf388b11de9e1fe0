"""Proposals over one stream for each leader: what was not sent is refused, what was is unknown."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from molecule.config import Limits
from molecule.model.errors import NoLeader, OutcomeUnknown, Unavailable
from molecule.rpc import proposals
from molecule.rpc.local_channel import local_channel
from molecule.rpc.proposals import ProposalStreams
from molecule.rpc.server import LocalServer
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1.peer_pb2_grpc import PeerStub, add_PeerServicer_to_server

SECRET = "between the two"


@dataclass
class Leader:
    """Answers each call with an index that counts; is deposed, or freezes, when told to."""

    path: Path
    deposed: bool = False
    frozen: bool = False
    streams: int = 0
    calls: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def Proposals(self, request_iterator: Any, context: Any) -> None:
        self.streams += 1

        async def write(answers: Any) -> None:
            await context.write(p.ProposeAnswerBatch(answers=answers))

        await proposals.serve(request_iterator, write, self._propose, peer="n2", limits=Limits())

    async def _propose(self, request: p.ProposeRequest, _left_s: float) -> p.ProposeReply:
        self.calls += 1
        self.reached.set()
        if self.deposed:
            raise NoLeader("n1 does not lead")
        if self.frozen:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        return p.ProposeReply(groups=[p.GroupOutcome(index=self.calls) for _ in request.groups])

    async def start(self) -> LocalServer:
        server = LocalServer(self.path, secret=SECRET, limits=Limits())
        # The rest of the service is not asked here.
        for name in ("Session", "ReportDeath", "ReadIndex", "Members", "Package", "Group"):
            setattr(self, name, None)
        for name in ("Gate", "Join", "Change", "Triggers", "Volatile"):
            setattr(self, name, None)
        server.register(add_PeerServicer_to_server, self)
        await server.start()
        return server


@dataclass
class Asking:
    """The streams of one node, and the channels it opened."""

    streams: ProposalStreams
    channels: list[Any]


@pytest.fixture
async def leader(tmp_path: Path) -> Leader:
    tmp_path.chmod(0o700)
    return Leader(tmp_path / "node.sock")


@pytest.fixture
async def asking(leader: Leader) -> AsyncIterator[Asking]:
    channels: list[Any] = []

    def stub(node: str) -> Any:
        if node == "nobody":
            raise NoLeader("no address of node nobody is known")
        if not channels:
            channels.append(
                local_channel(leader.path, secret=SECRET, role="node", name="n2", limits=Limits())
            )
        return PeerStub(channels[0])

    streams = ProposalStreams(stub, Limits())
    running = asyncio.ensure_future(streams.run())
    yield Asking(streams, channels)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for channel in channels:
        await channel.close()


def asked() -> p.ProposeRequest:
    return p.ProposeRequest(groups=[p.CommandGroup()])


async def test_calls_said_together_share_a_stream_and_each_has_its_answer(
    leader: Leader, asking: Asking
) -> None:
    server = await leader.start()
    calls = [asking.streams.propose("n1", asked()) for _ in range(20)]
    replies = await asyncio.gather(*calls)
    await server.stop()
    assert [reply.groups[0].index for reply in replies] == list(range(1, 21))
    assert leader.streams == 1


async def test_a_node_that_leads_no_more_says_so_and_the_stream_goes_on(
    leader: Leader, asking: Asking
) -> None:
    server = await leader.start()
    leader.deposed = True
    with pytest.raises(NoLeader):
        await asking.streams.propose("n1", asked())
    leader.deposed = False
    await asking.streams.propose("n1", asked())
    await server.stop()
    assert leader.streams == 1


async def test_what_was_said_on_a_stream_that_broke_is_unknown(
    leader: Leader, asking: Asking
) -> None:
    server = await leader.start()
    leader.frozen = True
    asking_now = asyncio.ensure_future(asking.streams.propose("n1", asked()))
    await leader.reached.wait()
    await server.stop()
    with pytest.raises(OutcomeUnknown):
        await asking_now
    leader.frozen = False
    server = await leader.start()
    await asking.streams.propose("n1", asked())
    await server.stop()
    assert leader.streams == 2


async def test_a_channel_that_is_closed_under_the_stream_ends_only_its_calls(
    leader: Leader, asking: Asking
) -> None:
    server = await leader.start()
    leader.frozen = True
    asking_now = asyncio.ensure_future(asking.streams.propose("n1", asked()))
    await leader.reached.wait()
    await asking.channels.pop().close()
    with pytest.raises(OutcomeUnknown):
        await asking_now
    leader.frozen = False
    await asking.streams.propose("n1", asked())
    await server.stop()


async def test_a_call_that_nobody_waits_for_any_more_is_given_up(
    leader: Leader, asking: Asking
) -> None:
    server = await leader.start()
    leader.frozen = True
    asking_now = asyncio.ensure_future(asking.streams.propose("n1", asked()))
    await leader.reached.wait()
    asking_now.cancel()
    await leader.given_up.wait()
    await server.stop()


async def test_what_could_not_be_sent_is_refused_for_sure(asking: Asking) -> None:
    with pytest.raises(Unavailable) as away:
        await asking.streams.propose("n1", asked())
    with pytest.raises(NoLeader) as unknown:
        await asking.streams.propose("nobody", asked())
    assert away.value.definite
    assert unknown.value.definite
