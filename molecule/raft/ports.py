"""What consensus needs from others, as protocols.

`Files` is implemented by `files.py` and by the simulator's disk; the transport by `molecule.rpc`;
the state machine and the snapshots by the node. The raft package imports none of them.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from molecule.raft.outbox import SnapshotMark


class Files(Protocol):
    """One flat folder of files for the journal.

    Every method may raise OSError; only `sync` makes durable.
    """

    def names(self) -> list[str]:
        """Names of all files, sorted."""

    def read(self, name: str) -> bytes:
        """The whole file."""

    def allocate(self, name: str, size_bytes: int) -> None:
        """A new file of zeros, durable with its name.

        Fails when the disk is full, leaving no file.
        """

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Overwrite inside the allocated size; volatile until `sync`."""

    def sync(self, name: str) -> None:
        """All earlier writes to this file are durable on return."""

    def remove(self, name: str) -> None:
        """Durable on return; a file that is not there is no error."""


class StateMachine(Protocol):
    """Total: never raises except to stop the node."""

    def apply(self, index: int, term: int, data: bytes) -> object:
        """Apply one committed entry.

        Called in order of index, each once in a life of the process.
        """


class Transport(Protocol):
    """The links to the other members. Frames of one connection arrive in order or not at all."""

    def follow(self, addresses: Mapping[str, str]) -> None:
        """Keep a link to each of these members from now on, and dial nobody else."""

    def send(self, peer: str, connection: int, frame: bytes) -> None:
        """Queue a frame and return at once; silently dropped when that connection is gone."""


class SnapshotSender(Protocol):
    """Sends this node's state to a follower that is behind the journal."""

    async def send_snapshot(
        self, peer: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]
    ) -> bool:
        """Offer `mark`, then stream the chunks with flow control.

        True when the peer answered that it has it.
        """


class SnapshotStore(Protocol):
    """The durable state outside raft.

    The newest snapshot of this generation, and a place for a new one.
    """

    async def open_snapshot(self) -> tuple[SnapshotMark, AsyncIterator[bytes]]:
        """A consistent copy of the saved state and the index it stands for."""

    async def fill(self, folder: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]) -> None:
        """Write the chunks as the state of a new generation in `folder`.

        Durable and checked on return.
        """


class Metrics(Protocol):
    """Numbers of consensus."""

    def journal_synced(self, seconds: float) -> None:
        """One sync of the journal ended."""

    def committed(self, seconds: float) -> None:
        """One own proposal was committed this long after it was proposed."""

    def role_changed(self, term: int, leader: str | None) -> None:
        """The term or the leader changed."""


class NoMetrics:
    """Counts nothing."""

    def journal_synced(self, seconds: float) -> None:
        """Drop it."""

    def committed(self, seconds: float) -> None:
        """Drop it."""

    def role_changed(self, term: int, leader: str | None) -> None:
        """Drop it."""
