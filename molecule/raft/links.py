"""Links to the other voters and what waits to leave on them.

Knows nothing of what frames mean. A frame leaves only on the link and in the term it was made for,
once the journal is durable up to the position it depends on; what arrives on an old link or twice
is dropped.
"""

from dataclasses import dataclass, field

from molecule.raft.outbox import Frame
from molecule.wire.v1.raft_pb2 import RaftFrame


@dataclass(slots=True)
class _Link:
    connection: int
    their_connection: int | None = None
    sequence_out: int = 0
    sequence_in: int = 0
    birth: str | None = None
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    peer: str
    connection: int
    term: int | None
    depends_on: int
    frame: RaftFrame


@dataclass(slots=True)
class Links:
    """The open link of each peer, by this node's own growing numbers."""

    me: str
    check_sender: bool
    _links: dict[str, _Link] = field(default_factory=dict)
    _waiting: list[_Waiting] = field(default_factory=list)

    def up(self, peer: str, connection: int) -> None:
        """A link was opened; it replaces the one before."""
        self._links[peer] = _Link(connection)

    def down(self, peer: str, connection: int) -> bool:
        """A link was closed; False if it was not the open one."""
        link = self._links.get(peer)
        if link is None or link.connection != connection:
            return False
        del self._links[peer]
        return True

    def is_up(self, peer: str) -> bool:
        """Whether frames can be sent to this peer."""
        return peer in self._links

    def peers_up(self) -> list[str]:
        """Peers with an open link, in a fixed order."""
        return sorted(self._links)

    def connection(self, peer: str) -> int:
        """The number of the open link; 0 if there is none."""
        link = self._links.get(peer)
        return 0 if link is None else link.connection

    def accepts(self, peer: str, connection: int, frame: RaftFrame) -> bool:
        """Whether a frame is of this peer, of the open link, and new."""
        link = self._links.get(peer)
        if link is None or frame.sender != peer:
            return False
        if not self.check_sender:
            return True
        if link.connection != connection or frame.sequence <= link.sequence_in:
            return False
        if link.their_connection is None:
            link.their_connection = frame.connection
        if link.their_connection != frame.connection:
            return False
        link.sequence_in = frame.sequence
        return True

    def introduced(self, peer: str, birth: str, *, is_part: bool) -> None:
        """The peer said on the open link which data folder it has, and whether it takes part."""
        link = self._links.get(peer)
        if link is not None:
            link.birth, link.is_part = birth, is_part

    def birth(self, peer: str) -> str | None:
        """The data folder of the peer on the open link; None before it said so."""
        link = self._links.get(peer)
        return None if link is None else link.birth

    def takes_part(self, peer: str) -> bool:
        """Whether the peer said on the open link that it hears entries and votes."""
        link = self._links.get(peer)
        return link is not None and link.is_part

    def introduce(self, peer: str, frame: RaftFrame) -> None:
        """Let a frame leave that belongs to no term and depends on no disk."""
        link = self._links.get(peer)
        if link is not None:
            self._waiting.append(_Waiting(peer, link.connection, None, 0, frame))

    def say(self, peer: str, frame: RaftFrame, *, term: int, depends_on: int) -> None:
        """Let a frame leave once `depends_on` is durable; dropped without a link."""
        link = self._links.get(peer)
        if link is not None:
            self._waiting.append(_Waiting(peer, link.connection, term, depends_on, frame))

    def leaving(self, term: int, durable_position: int) -> list[Frame]:
        """What may leave now, in the order it was said.

        What was said in another term is dropped.
        """
        if not self._waiting:
            return []
        frames: list[Frame] = []
        kept: list[_Waiting] = []
        for waiting in self._waiting:
            link = self._links.get(waiting.peer)
            if link is None or (
                self.check_sender
                and (waiting.term not in (None, term) or waiting.connection != link.connection)
            ):
                continue
            if waiting.depends_on > durable_position:
                kept.append(waiting)
                continue
            link.sequence_out += 1
            frame = waiting.frame
            frame.sender = self.me
            frame.term = 0 if waiting.term is None else term
            frame.connection = link.connection
            frame.sequence = link.sequence_out
            frames.append(Frame(waiting.peer, link.connection, frame.SerializeToString()))
        self._waiting = kept
        return frames
