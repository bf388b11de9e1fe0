"""Snapshots on their way between members: an offer, chunks one at a time, and word of the end.

What a snapshot holds and when it is worth having is left to the owner. What must stay true: one
chunk of a transfer is under way at a time, so a transfer takes the time that the link's bandwidth
asks for without delaying other frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from molecule.raft.outbox import SnapshotMark
from tests.simulation.member import Port

_CHUNK_BYTES = 2_000
# What a snapshot weighs on the wire; the register itself is tiny.
_SNAPSHOT_BYTES = 12_000
_WORD_BYTES = 60


@dataclass(frozen=True, slots=True)
class Word:
    """One word about one transfer."""

    transfer: int


@dataclass(frozen=True, slots=True)
class Offer(Word):
    mark: SnapshotMark


@dataclass(frozen=True, slots=True)
class Next(Word):
    """The receiver has everything so far and wants this chunk."""

    chunk: int


@dataclass(frozen=True, slots=True)
class Chunk(Word):
    number: int
    is_last: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Arrived(Word):
    """The receiver has the snapshot's state durably, from us or from elsewhere."""


class Owner(Protocol):
    """The member on whose behalf snapshots travel."""

    def wants_snapshot(self, mark: SnapshotMark) -> bool: ...

    def snapshot_ended(self, peer: str, *, arrived: bool) -> None: ...

    def install(self, mark: SnapshotMark, content: bytes, done: Callable[[], None]) -> None: ...


@dataclass(slots=True)
class _Sending:
    transfer: int
    connection: int
    content: bytes


class Transfers:
    """All transfers from and to one member."""

    def __init__(self, port: Port, owner: Owner) -> None:
        self._port = port
        self._owner = owner
        self._connections: dict[str, int] = {}
        self._sending: dict[str, _Sending] = {}
        self._offered: dict[str, Offer] = {}
        self._last = 0

    def link_up(self, peer: str, connection: int) -> None:
        self._connections[peer] = connection
        if peer in self._sending:
            self._ended(peer, arrived=False)

    def link_down(self, peer: str, connection: int) -> None:
        if self._connections.get(peer) == connection:
            del self._connections[peer]
        sending = self._sending.get(peer)
        if sending is not None and sending.connection == connection:
            self._ended(peer, arrived=False)

    def begin(self, peer: str, snapshot: tuple[SnapshotMark, bytes] | None) -> None:
        """Offer the saved state to a peer."""
        connection = self._connections.get(peer)
        if snapshot is None or connection is None or peer in self._sending:
            self._owner.snapshot_ended(peer, arrived=False)
            return
        self._last += 1
        mark, content = snapshot
        self._sending[peer] = _Sending(self._last, connection, content)
        self._say(peer, Offer(self._last, mark))

    def hear(self, peer: str, connection: int, word: Word) -> None:
        """A word about a transfer, on the link that is open now."""
        if self._connections.get(peer) != connection:
            return
        match word:
            case Offer():
                self._offered[peer] = word
                self._answer(peer, word, 0)
            case Chunk():
                self._take(peer, word)
            case Next():
                self._send_chunk(peer, word)
            case Arrived():
                sending = self._sending.get(peer)
                if sending is not None and sending.transfer == word.transfer:
                    self._ended(peer, arrived=True)
            case _:
                pass

    def _answer(self, peer: str, offer: Offer, chunk: int) -> None:
        wants = self._owner.wants_snapshot(offer.mark)
        self._say(peer, Next(offer.transfer, chunk) if wants else Arrived(offer.transfer))

    def _send_chunk(self, peer: str, wanted: Next) -> None:
        sending = self._sending.get(peer)
        if sending is None or sending.transfer != wanted.transfer:
            return
        is_last = (wanted.chunk + 1) * _CHUNK_BYTES >= _SNAPSHOT_BYTES
        content = sending.content if is_last else b""
        self._say(peer, Chunk(wanted.transfer, wanted.chunk, is_last, content), _CHUNK_BYTES)

    def _take(self, peer: str, chunk: Chunk) -> None:
        offer = self._offered.get(peer)
        if offer is None or offer.transfer != chunk.transfer:
            return
        if not chunk.is_last or not self._owner.wants_snapshot(offer.mark):
            self._answer(peer, offer, chunk.number + 1)
            return
        arrived = Arrived(chunk.transfer)
        self._owner.install(offer.mark, chunk.content, lambda: self._say(peer, arrived))

    def _ended(self, peer: str, *, arrived: bool) -> None:
        del self._sending[peer]
        self._owner.snapshot_ended(peer, arrived=arrived)

    def _say(self, peer: str, word: Word, size_bytes: int = 0) -> None:
        connection = self._connections.get(peer)
        if connection is not None:
            self._port.send(peer, connection, word, size_bytes + _WORD_BYTES)
