"""Links come up between the right voters, carry frames in order, and end on both sides together."""

import asyncio
import contextlib
import pickle
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from molecule.config import Limits, Timing
from molecule.raft.configuration import Configuration, Member, decode_placed
from molecule.rpc.channel import PeerChannels
from molecule.rpc.frame_queue import FrameQueue
from molecule.rpc.raft_link import RaftLinks
from molecule.rpc.server import PeerServer
from molecule.wire.v1 import peer_link_pb2
from molecule.wire.v1.peer_link_pb2_grpc import PeerLinkStub
from tests.adapters.rpc.cluster_of_two import live

TIMING = Timing(link_ping_ms=50, link_silence_ms=1000, link_redial_max_ms=50)
WAIT_S = 20


@dataclass
class Mark:
    index: int
    term: int
    configuration: Configuration | None = None


@dataclass
class Told:
    """What one voter was told, and a way to wait for it."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    snapshots: list[tuple[str, int, int, list[bytes]]] = field(default_factory=list)
    configurations: list[Configuration | None] = field(default_factory=list)
    snapshot_answer: bool = True
    takes_chunks: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        self.changed.set()

    def link_up(self, peer: str, connection: int) -> None:
        self._note("up", peer, connection)

    def link_down(self, peer: str, connection: int) -> None:
        self._note("down", peer, connection)

    def receive(self, peer: str, connection: int, frame: bytes) -> None:
        self._note("frame", peer, connection, frame)

    async def receive_snapshot(
        self, peer: str, first: peer_link_pb2.SnapshotPart, chunks: AsyncIterator[bytes]
    ) -> bool:
        taken = [chunk async for chunk in chunks] if self.takes_chunks else []
        self.snapshots.append((peer, first.index, first.term, taken))
        self.configurations.append(decode_placed(first.configuration))
        return self.snapshot_answer

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    async def until_event(self, *event: Any) -> None:
        await self.until(lambda: event in self.events)

    @property
    def frames(self) -> list[bytes]:
        return [event[3] for event in self.events if event[0] == "frame"]


@dataclass
class Voter:
    links: RaftLinks
    told: Told
    server: PeerServer
    run: asyncio.Task[None] | None = None


def free_ports() -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        taken = {name: stack.enter_context(socket.socket()) for name in ("n1", "n2", "n3")}
        for plain in taken.values():
            plain.bind(("127.0.0.1", 0))
        return {name: plain.getsockname()[1] for name, plain in taken.items()}


class World:
    """Voters by name on free ports; each may stop and come back on its port."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in free_ports().items()}
        self.voters: dict[str, Voter] = {}

    async def start(self, name: str, *, peers: tuple[str, ...] = ("n1", "n2", "n3")) -> Voter:
        told = Told()
        channels = PeerChannels(live(name), limits=self.limits)
        links = RaftLinks(
            me=name,
            peers={peer: self.addresses[peer] for peer in peers},
            channels=channels,
            timing=TIMING,
            limits=self.limits,
        )
        links.attach(told)
        server = PeerServer(self.addresses[name], live(name), limits=self.limits)
        links.register(server)
        await server.start()
        voter = Voter(links, told, server, asyncio.create_task(links.run()))
        self.voters[name] = voter
        return voter

    async def stop(self, name: str) -> None:
        voter = self.voters.pop(name)
        if voter.run is not None:
            voter.run.cancel()
            await asyncio.gather(voter.run, return_exceptions=True)
        await voter.server.stop()


@asynccontextmanager
async def world(**limits: int) -> AsyncIterator[World]:
    made = World(Limits(**limits))
    try:
        yield made
    finally:
        for name in list(made.voters):
            await made.stop(name)


@asynccontextmanager
async def a_pair(**limits: int) -> AsyncIterator[tuple[World, Voter, Voter]]:
    """The greater id first, because the smaller dials."""
    async with world(**limits) as made:
        answering = await made.start("n2")
        dialling = await made.start("n1")
        await dialling.told.until_event("up", "n2", 1)
        await answering.told.until_event("up", "n1", 1)
        yield made, dialling, answering


async def test_frames_travel_both_ways_in_order_on_one_link() -> None:
    async with a_pair() as (_, n1, n2):
        sent = [b"%d" % number for number in range(5_000)]
        for frame in sent:
            n1.links.send("n2", 1, frame)
            n2.links.send("n1", 1, frame)
        await n1.told.until(lambda: len(n1.told.frames) == len(sent))
        await n2.told.until(lambda: len(n2.told.frames) == len(sent))
        assert n1.told.frames == n2.told.frames == sent
        assert n1.links.counters.messages_sent < len(sent) / 2


async def test_three_voters_have_one_link_for_each_pair() -> None:
    async with world() as made:
        for name in ("n3", "n2", "n1"):
            await made.start(name)
        for name, voter in made.voters.items():
            others = {"n1", "n2", "n3"} - {name}
            for other in others:
                await voter.told.until_event("up", other, 1)


async def test_frame_for_an_old_connection_is_dropped_and_counted() -> None:
    async with a_pair() as (_, n1, n2):
        n1.links.send("n2", 0, b"old")
        n1.links.send("n2", 2, b"not yet")
        n1.links.send("n9", 1, b"nobody")
        n1.links.send("n2", 1, b"now")
        await n2.told.until_event("frame", "n1", 1, b"now")
        assert n2.told.frames == [b"now"]
        assert n1.links.counters.frames_dropped == 3


async def test_link_goes_down_and_up_again_when_the_answering_voter_restarts() -> None:
    async with a_pair() as (made, n1, _):
        await made.stop("n2")
        await n1.told.until_event("down", "n2", 1)
        n2 = await made.start("n2")
        await n1.told.until_event("up", "n2", 2)
        await n2.told.until_event("up", "n1", 1)
        n1.links.send("n2", 2, b"again")
        await n2.told.until_event("frame", "n1", 1, b"again")


async def test_link_goes_down_and_up_again_when_the_dialling_voter_restarts() -> None:
    async with a_pair() as (made, _, n2):
        await made.stop("n1")
        await n2.told.until_event("down", "n1", 1)
        n1 = await made.start("n1")
        await n2.told.until_event("up", "n1", 2)
        n2.links.send("n1", 2, b"again")
        await n1.told.until_event("frame", "n2", 1, b"again")


async def test_quiet_link_stays_up_by_its_signs_of_life() -> None:
    async with a_pair() as (_, n1, n2):
        spoken = n1.links.counters.messages_sent
        await asyncio.sleep(TIMING.link_silence_ms * 2 / 1000)
        assert n1.links.counters.messages_sent > spoken
        for voter in (n1, n2):
            assert [event for event in voter.told.events if event[0] == "down"] == []


async def test_link_to_a_silent_peer_is_given_up() -> None:
    async with world() as made:
        n2 = await made.start("n2")
        channels = PeerChannels(live("n1"), limits=made.limits)
        channel = channels.fresh("n2", made.addresses["n2"])
        call = PeerLinkStub(channel).Link()
        assert await call.read() is not grpc.aio.EOF
        await n2.told.until_event("up", "n1", 1)
        await n2.told.until_event("down", "n1", 1)
        await channel.close()


async def test_newer_link_of_a_peer_replaces_the_older() -> None:
    async with world() as made:
        n2 = await made.start("n2")
        channels = PeerChannels(live("n1"), limits=made.limits)
        old, new = (channels.fresh("n2", made.addresses["n2"]) for _ in range(2))
        first = PeerLinkStub(old).Link()
        await first.read()
        second = PeerLinkStub(new).Link()
        await second.read()
        await n2.told.until_event("up", "n1", 2)
        assert n2.told.events == [("up", "n1", 1), ("down", "n1", 1), ("up", "n1", 2)]
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await first.write(peer_link_pb2.LinkMessage(frames=[b"old"]))
        await second.write(peer_link_pb2.LinkMessage(frames=[b"new"]))
        await n2.told.until_event("frame", "n1", 2, b"new")
        assert n2.told.frames == [b"new"]
        await old.close()
        await new.close()


async def test_queue_that_overflows_resets_the_link_and_is_counted() -> None:
    async with a_pair(link_queue_bytes_max=1_000) as (_, n1, n2):
        for _ in range(3):
            n1.links.send("n2", 1, b"x" * 400)
        await n1.told.until_event("down", "n2", 1)
        await n1.told.until_event("up", "n2", 2)
        await n2.told.until_event("up", "n1", 2)
        assert n1.links.counters.overflows == 1


async def test_member_of_the_wrong_direction_gets_no_link() -> None:
    async with world() as made:
        n2 = await made.start("n2")
        channels = PeerChannels(live("n3"), limits=made.limits)
        channel = channels.fresh("n2", made.addresses["n2"])
        call = PeerLinkStub(channel).Link()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert n2.told.events == []
        await channel.close()


async def test_members_that_know_each_other_by_one_side_only_are_linked() -> None:
    async with world() as made:
        n1 = await made.start("n1", peers=("n1",))  # it missed that n2 joined
        n2 = await made.start("n2", peers=("n1", "n2"))
        await n2.told.until_event("up", "n1", 1)
        await n1.told.until_event("up", "n2", 1)


async def test_links_follow_the_members() -> None:
    async with world() as made:
        n1 = await made.start("n1", peers=("n1",))
        await made.start("n2", peers=("n1", "n2"))
        n1.links.follow(made.addresses)
        await n1.told.until_event("up", "n2", 1)

        n1.links.follow({})
        await made.stop("n2")
        again = await made.start("n2", peers=("n2",))
        n1.links.follow({"n2": made.addresses["n2"]})
        await again.told.until_event("up", "n1", 1)


async def test_snapshot_carries_who_belonged_to_the_cluster() -> None:
    members = Configuration((Member("n1", "a:1", "x"),))
    async with a_pair() as (_, n1, n2):
        assert await n1.links.send_snapshot("n2", Mark(9, 2, members), chunks(b"x"))
        assert n2.told.configurations == [members]


_FIRED: list[str] = []


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_FIRED.append, ("fired",))


async def test_pickle_over_a_valid_certificate_is_never_loaded() -> None:
    bomb = pickle.dumps(_Bomb())
    async with world() as made:
        n2 = await made.start("n2")
        channels = PeerChannels(live("n1"), limits=made.limits)
        channel = channels.fresh("n2", made.addresses["n2"])
        # As a frame it is bytes; in place of a message it ends the call.
        call = PeerLinkStub(channel).Link()
        await call.read()
        await call.write(peer_link_pb2.LinkMessage(frames=[bomb]))
        await n2.told.until_event("frame", "n1", 1, bomb)
        raw = channel.stream_stream("/molecule.wire.v1.PeerLink/Link")()
        await raw.read()
        await raw.write(bomb)
        assert await raw.code() is not grpc.StatusCode.OK
        assert n2.told.frames == [bomb]
        await channel.close()
    assert _FIRED == []


async def chunks(*sent: bytes) -> AsyncIterator[bytes]:
    for chunk in sent:
        yield chunk


async def test_snapshot_arrives_whole_with_its_place_and_sender() -> None:
    async with a_pair() as (_, n1, n2):
        sent = [bytes([number]) * 200_000 for number in range(20)]
        assert await n1.links.send_snapshot("n2", Mark(9, 2), chunks(*sent))
        assert n2.told.snapshots == [("n1", 9, 2, sent)]
        assert await n2.links.send_snapshot("n1", Mark(10, 2), chunks(b"back"))
        assert n1.told.snapshots == [("n2", 10, 2, [b"back"])]


async def test_snapshot_that_is_not_wanted_is_answered_before_its_end() -> None:
    async with a_pair() as (_, n1, n2):
        n2.told.takes_chunks = False
        endless_sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal endless_sent
            while True:
                endless_sent += 1
                yield b"x" * 100_000

        async with asyncio.timeout(WAIT_S):
            assert await n1.links.send_snapshot("n2", Mark(9, 2), endless())
        n2.told.snapshot_answer = False
        assert not await n1.links.send_snapshot("n2", Mark(9, 2), chunks(b"x"))


async def test_snapshot_is_sent_no_faster_than_it_is_taken() -> None:
    async with a_pair() as (_, n1, n2):
        release = asyncio.Event()
        produced = 0

        async def slow(peer: str, first: object, parts: AsyncIterator[bytes]) -> bool:
            await release.wait()
            return len([part async for part in parts]) == 1_000

        async def counted() -> AsyncIterator[bytes]:
            nonlocal produced
            for _ in range(1_000):
                produced += 1
                yield b"x" * 100_000

        n2.told.receive_snapshot = slow  # type: ignore[assignment,method-assign]  # a slow one
        sending = asyncio.create_task(n1.links.send_snapshot("n2", Mark(9, 2), counted()))
        was = -1
        # It stops by itself, far before the end, because nobody takes it.
        while produced != was:
            was = produced
            await asyncio.sleep(0.3)
        assert 0 < produced < 500
        release.set()
        assert await sending


async def test_snapshot_to_a_peer_that_is_not_there_fails_without_an_error() -> None:
    async with world() as made:
        n1 = await made.start("n1")
        assert not await n1.links.send_snapshot("n2", Mark(9, 2), chunks(b"x"))


async def test_waiting_frames_are_taken_up_to_the_size_of_a_message() -> None:
    queue = FrameQueue("n2", 1, Limits(link_batch_bytes_max=10, link_queue_bytes_max=25))
    assert [queue.put(b"12345") for _ in range(6)] == [True] * 5 + [False]
    taken = [await queue.take() for _ in range(3)]
    assert taken == [[b"12345"] * 2, [b"12345"] * 2, [b"12345"]]
    queue.ping()
    assert await queue.take() == []
    queue.close()
    assert await queue.take() == []
