"""Links between members: Raft frames both ways on one stream for each pair, and snapshots.

The member with the smaller id dials, so that a pair has one stream and one number covers both
directions: nothing sent on one connection can arrive on the next. One that missed a change knows
not yet whom to dial, so after a while without a link the greater id dials too, and is answered by
those who do not know it. What must stay true: a link that is up was proved by certificate, and
`link_down` follows every `link_up`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import structlog

from molecule.config import Limits, Timing
from molecule.model.errors import Forbidden, InvalidInput, invariant
from molecule.rpc.channel import PeerChannels
from molecule.rpc.frame_queue import FrameQueue
from molecule.rpc.identity import NODE, caller
from molecule.wire.v1 import peer_link_pb2
from molecule.wire.v1.peer_link_pb2_grpc import (
    PeerLinkServicer,
    PeerLinkStub,
    add_PeerLinkServicer_to_server,
)

log = structlog.get_logger(__name__)

_REDIAL_FIRST_MS: Final = 20
_BROKEN: Final = (
    grpc.aio.AioRpcError,
    grpc.aio.InternalError,
    grpc.aio.UsageError,
    asyncio.InvalidStateError,
)
"""What the library raises, depending on the moment, when a call is over."""


class LinkEvents(Protocol):
    """Who is told about links: the driver of consensus. Called on the loop; must not block."""

    def link_up(self, peer: str, connection: int) -> None:
        """Frames may flow. `connection` counts this node's links to the peer from 1."""

    def link_down(self, peer: str, connection: int) -> None:
        """Nothing more arrives or leaves on this connection."""

    def receive(self, peer: str, connection: int, frame: bytes) -> None:
        """A frame, in the order in which the peer sent it on this connection."""

    async def receive_snapshot(
        self, peer: str, first: peer_link_pb2.SnapshotPart, chunks: AsyncIterator[bytes]
    ) -> bool:
        """Take a snapshot offered by the peer; True when this node has it (or more) durably.

        `first` tells its place in the log and who belonged to the cluster there.
        """


class Place(Protocol):
    """The place in the log that a snapshot stands for."""

    @property
    def index(self) -> int:
        """The last entry inside."""

    @property
    def term(self) -> int:
        """The term of that entry."""

    @property
    def configuration(self) -> "Encodable | None":
        """Who belonged to the cluster there; None while it stands as it was formed."""


class Encodable(Protocol):
    """A configuration as the links see it."""

    def encode_placed(self) -> bytes:
        """Its bytes."""


@dataclass(slots=True)
class LinkCounters:
    """Only grow. Mutable: the links alone change them."""

    frames_sent: int = 0
    messages_sent: int = 0
    frames_dropped: int = 0
    overflows: int = 0
    links_lost: int = 0


_SIGNS_OF_DISTRUST: Final = ("CERTIFICATE", "certificate", "SSL", "handshake")
"""How the library tells, in the text of an error, that one side refused the other's identity."""


class _LinkEnded(Exception):
    """One side of a link is over, so the other ends too."""


class RaftLinks:
    """All links of one voter. Mutable: owned by its loop."""

    def __init__(
        self,
        *,
        me: str,
        peers: Mapping[str, str],
        channels: PeerChannels,
        timing: Timing,
        limits: Limits,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`peers` are all members by id with their addresses; this node itself is passed over."""
        self._me = me
        self._peers = {peer: address for peer, address in peers.items() if peer != me}
        self._channels = channels
        self._events: LinkEvents | None = None
        self._timing = timing
        self._limits = limits
        self._jitter = jitter
        self._numbers: dict[str, int] = {}
        self._links: dict[str, FrameQueue] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._peers_changed = asyncio.Event()
        self._is_stopping = False
        self._refusals: dict[str, str] = {}
        self.counters = LinkCounters()

    def attach(self, events: LinkEvents) -> None:
        """Tell these of everything, from now on; before `run` and before the server starts."""
        self._events = events

    @property
    def _told(self) -> LinkEvents:
        invariant(self._events is not None, "links run before anybody was attached")
        return self._events  # type: ignore[return-value]  # the line above

    # ---- for consensus

    def send(self, peer: str, connection: int, frame: bytes) -> None:
        """Queue a frame and return at once; counted and dropped when that connection is gone."""
        link = self._links.get(peer)
        if link is None or link.connection != connection:
            self.counters.frames_dropped += 1
        elif not link.put(frame):
            # The peer reads slower than we speak. Nothing of the old queue is worth its place: the
            # link starts afresh.
            self.counters.overflows += 1
            self.counters.frames_dropped += 1
            self._down(link, "overflow")

    async def send_snapshot(self, peer: str, mark: Place, chunks: AsyncIterator[bytes]) -> bool:
        """Offer a snapshot, then stream it as fast as the peer takes it; True when it is there."""
        address = self._peers.get(peer)
        if address is None:
            return False
        channel = self._channels.fresh(peer, address)
        try:
            call = PeerLinkStub(channel).Snapshot()
            try:
                placed = mark.configuration
                first = peer_link_pb2.SnapshotPart(index=mark.index, term=mark.term)
                first.configuration = placed.encode_placed() if placed is not None else b""
                await call.write(first)
                async for chunk in chunks:
                    await call.write(peer_link_pb2.SnapshotPart(chunk=chunk))
                await call.done_writing()
            except _BROKEN:
                # Answered before its end, with success or failure: the answer says which.
                pass
            return bool((await call).has_it)
        except grpc.aio.AioRpcError as error:
            log.warning("snapshot_not_sent", peer=peer, index=mark.index, reason=error.details())
            return False
        finally:
            await channel.close()

    def follow(self, addresses: Mapping[str, str]) -> None:
        """Keep links to these members from now on. What is open to others ends by itself."""
        self._peers = {peer: address for peer, address in addresses.items() if peer != self._me}
        self._peers_changed.set()

    # ---- for the node

    def register(self, server: "_Registers") -> None:
        """Answer the voters that dial us: before the server starts."""
        server.register(add_PeerLinkServicer_to_server, _Service(self))

    async def run(self) -> None:
        """Keep a link to every member; ends only when cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    while True:
                        for peer in self._peers.keys() - self._keepers.keys():
                            self._keepers[peer] = group.create_task(self._keep(peer))
                        self._peers_changed.clear()
                        await self._peers_changed.wait()
                finally:
                    self._is_stopping = True
        finally:
            for link in list(self._links.values()):
                self._down(link, "stopped")

    # ---- links

    async def _keep(self, peer: str) -> None:
        """Dial this member whenever there is no link, as long as it is one."""
        wait_ms = _REDIAL_FIRST_MS
        patience_ms = self._timing.link_silence_ms
        while (address := self._peers.get(peer)) is not None:
            was = self._numbers.get(peer, 0)
            if peer < self._me:
                # Dialling is for the smaller id, unless it seems not to know us.
                await self._pause(patience_ms)
            if peer in self._links:
                await self._pause(patience_ms)
                continue
            if self._numbers.get(peer, 0) == was:
                await self._dial(peer, address)
            # A call that is cancelled may report the end of the call instead: the wish still
            # stands.
            if self._is_stopping:
                raise asyncio.CancelledError
            wait_ms = _REDIAL_FIRST_MS if self._numbers.get(peer, 0) != was else wait_ms * 2
            wait_ms = min(wait_ms, self._timing.link_redial_max_ms)
            await self._pause(wait_ms)
        del self._keepers[peer]
        # It may have become a member again a moment ago.
        self._peers_changed.set()

    async def _pause(self, wait_ms: int) -> None:
        await asyncio.sleep(wait_ms * (0.5 + self._jitter() / 2) / 1000)

    async def _dial(self, peer: str, address: str) -> None:
        # Each attempt has a connection of its own: after a cut the old one may hang for minutes.
        channel = self._channels.fresh(peer, address)
        try:
            call = PeerLinkStub(channel).Link()
            async with asyncio.timeout(self._timing.link_silence_ms / 1000):
                if await call.read() is grpc.aio.EOF:
                    return
            await self._carry(self._up(peer), call)
        except (*_BROKEN, TimeoutError) as error:
            # Not there, refused, or silent: the next attempt is what there is to do.
            self._note_refusal(peer, error)
            return
        except asyncio.CancelledError:
            # The library says the same when the other side cancelled the call.
            if self._is_stopping:
                raise
        finally:
            await channel.close()

    def _note_refusal(self, peer: str, error: BaseException) -> None:
        """Say once for each peer and reason that certificates do not fit: nobody else would."""
        told = error.details() or "" if isinstance(error, grpc.aio.AioRpcError) else ""
        is_about_trust = any(sign in told for sign in _SIGNS_OF_DISTRUST)
        reason = told if is_about_trust else ""
        if reason and self._refusals.get(peer) != reason:
            log.warning("peer_not_trusted", peer=peer, certificate_error=reason)
        self._refusals[peer] = reason

    async def answer(self, peer: str, stream: Any) -> None:
        """Carry a link that `peer` dialled, until it ends.

        Its certificate proves that it is of this cluster; consensus knows whether it is a member.
        """
        if peer > self._me and peer in self._peers:
            raise Forbidden(f"{peer} does not dial {self._me}: the member with the smaller id does")
        await stream.write(peer_link_pb2.LinkMessage())
        await self._carry(self._up(peer), stream)

    async def answer_snapshot(
        self, peer: str, parts: AsyncIterator[peer_link_pb2.SnapshotPart]
    ) -> bool:
        """Hand a snapshot from `peer` to consensus."""
        if peer not in self._links:
            raise Forbidden(f"{peer} has no link to {self._me}, so it offers no snapshot")
        first = await anext(parts, None)
        if first is None:
            raise InvalidInput("a snapshot begins with its place in the log")

        async def chunks() -> AsyncIterator[bytes]:
            async for part in parts:
                yield part.chunk

        return await self._told.receive_snapshot(peer, first, chunks())

    def _up(self, peer: str) -> FrameQueue:
        old = self._links.get(peer)
        if old is not None:
            # The peer noticed before us that the old stream is dead.
            self._down(old, "replaced")
        self._numbers[peer] = self._numbers.get(peer, 0) + 1
        now = asyncio.get_running_loop().time()
        link = FrameQueue(peer, self._numbers[peer], self._limits, now=now)
        self._links[peer] = link
        log.info("link_up", peer=peer, connection=link.connection)
        self._told.link_up(peer, link.connection)
        return link

    def _down(self, link: FrameQueue, reason: str) -> None:
        if self._links.get(link.peer) is not link:
            return
        del self._links[link.peer]
        link.close()
        self.counters.links_lost += 1
        log.info("link_down", peer=link.peer, connection=link.connection, reason=reason)
        self._told.link_down(link.peer, link.connection)

    async def _carry(self, link: FrameQueue, stream: Any) -> None:
        reason = "ended"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(link, stream))
                group.create_task(self._write(link, stream))
                group.create_task(self._watch(link))
        except* _LinkEnded as ended:
            reason = str(ended.exceptions[0])
        except* _BROKEN:
            reason = "broken"
        finally:
            self._down(link, reason)

    async def _read(self, link: FrameQueue, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await stream.read()
            link.heard_at = loop.time()
            if message is grpc.aio.EOF:
                raise _LinkEnded("closed by the peer")
            for frame in message.frames:
                if link.is_closed:
                    raise _LinkEnded("closed here")
                self._told.receive(link.peer, link.connection, frame)

    async def _write(self, link: FrameQueue, stream: Any) -> None:
        while True:
            frames = await link.take()
            if link.is_closed:
                raise _LinkEnded("closed here")
            await stream.write(peer_link_pb2.LinkMessage(frames=frames))
            link.messages_sent += 1
            self.counters.messages_sent += 1
            self.counters.frames_sent += len(frames)

    async def _watch(self, link: FrameQueue) -> None:
        """Speak on a link that had nothing to say, end one that hears nothing.

        By a look from time to time: a timer for each message costs as much as the rest of it here.
        """
        ping_s, silence_s = self._timing.link_ping_ms / 1000, self._timing.link_silence_ms / 1000
        loop = asyncio.get_running_loop()
        while (left_s := link.heard_at + silence_s - loop.time()) > 0:
            sent = link.messages_sent
            await asyncio.sleep(min(ping_s, left_s))
            if link.messages_sent == sent:
                link.ping()
        raise _LinkEnded("silent")


def _node() -> str:
    who = caller()
    if who.role != NODE:
        raise Forbidden(f"{who.uri} is no node, so it has no part in consensus")
    return who.name


class _Registers(Protocol):
    def register(self, add: Callable[[Any, Any], None], servicer: object) -> None: ...


class _Service(PeerLinkServicer):
    """The answering side; who dials is what the certificate says."""

    def __init__(self, links: RaftLinks) -> None:
        self._links = links

    async def Link(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        del request_iterator
        await self._links.answer(_node(), context)

    async def Snapshot(self, request_iterator: Any, context: Any) -> peer_link_pb2.SnapshotReply:  # noqa: N802
        del context
        has_it = await self._links.answer_snapshot(_node(), request_iterator)
        return peer_link_pb2.SnapshotReply(has_it=has_it)
