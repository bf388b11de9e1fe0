"""The state store as Raft's snapshot port: what is saved can be streamed to a voter far behind."""

from collections.abc import AsyncIterator
from pathlib import Path

from molecule.config import Limits
from molecule.model.errors import DamagedData
from molecule.raft.configuration import decode_placed
from molecule.raft.driver import RaftDriver
from molecule.raft.outbox import SnapshotMark
from molecule.storage.snapshot import SnapshotReader, SnapshotSink
from molecule.wire.v1.peer_link_pb2 import SnapshotPart


class DriverLinks:
    """The Raft driver as `rpc.raft_link` tells it of links and snapshots."""

    def __init__(self, driver: RaftDriver) -> None:
        self.link_up = driver.link_up
        self.link_down = driver.link_down
        self.receive = driver.receive
        self._driver = driver

    async def receive_snapshot(
        self, peer: str, first: SnapshotPart, chunks: AsyncIterator[bytes]
    ) -> bool:
        """True when this node has that state, durably."""
        mark = SnapshotMark(first.index, first.term, decode_placed(first.configuration))
        return await self._driver.receive_snapshot(peer, mark, chunks)


class Snapshots:
    """Implements `raft.ports.SnapshotStore` over the state file in use."""

    def __init__(self, state_file: Path, limits: Limits) -> None:
        self._state_file = state_file
        self._limits = limits

    async def open_snapshot(self) -> tuple[SnapshotMark, AsyncIterator[bytes]]:
        """A consistent copy of the saved state and the index it stands for."""
        reader = await SnapshotReader.open(self._state_file, self._limits)

        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in reader.chunks():
                    yield chunk
            finally:
                await reader.close()

        return SnapshotMark(reader.mark.index, reader.mark.term), chunks()

    async def fill(self, folder: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]) -> None:
        """Write the chunks as the state of a new generation; durable and checked on return."""
        sink = SnapshotSink(Path(folder) / "state.db")
        try:
            async for chunk in chunks:
                await sink.write(chunk)
            filled = await sink.finish()
        except BaseException:
            await sink.abort()
            raise
        if (filled.index, filled.term) != (mark.index, mark.term):
            raise DamagedData(
                f"a snapshot of entry {mark.index} was offered, one of {filled.index} arrived"
            )
