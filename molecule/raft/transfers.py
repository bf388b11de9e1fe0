"""Snapshots on their way out and in: the asyncio half of `snapshots.py`.

Used by the driver only. A received snapshot becomes the node's state in one step or not at all;
after that step this life of the process says nothing more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import structlog

from molecule.raft.configuration import Configuration
from molecule.raft.files import DiskFiles
from molecule.raft.generation import DataFolder, Generation
from molecule.raft.outbox import SnapshotMark
from molecule.raft.ports import SnapshotSender, SnapshotStore
from molecule.raft.replica import Replica
from molecule.raft.threads import Threads

_log = structlog.get_logger()


@dataclass(slots=True)
class SnapshotTransfers:
    """One transfer out at a time, one in at a time."""

    folder: DataFolder
    sender: SnapshotSender
    store: SnapshotStore
    _wanted: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    _is_installing: bool = False

    def want(self, peer: str) -> None:
        """Send this peer a snapshot when its turn comes. A peer wants one at a time."""
        self._wanted.put_nowait(peer)

    async def send_all(
        self,
        configuration_at: Callable[[int], Configuration | None],
        ended: Callable[[str, bool], None],
    ) -> None:
        """Send what is wanted, for ever; tell of each peer whether it arrived."""
        while True:
            peer = await self._wanted.get()
            arrived = False
            try:
                mark, chunks = await self.store.open_snapshot()
                mark = replace(mark, configuration=configuration_at(mark.index))
                arrived = await self.sender.send_snapshot(peer, mark, chunks)
            except Exception as error:  # noqa: BLE001  # a named boundary: a loop round
                # It is asked for again as long as the peer is behind.
                _log.warning("snapshot_not_sent", peer=peer, reason=repr(error))
            ended(peer, arrived)

    async def receive(
        self,
        replica: Replica,
        threads: Threads,
        mark: SnapshotMark,
        chunks: AsyncIterator[bytes],
    ) -> bool:
        """Install a snapshot. False: another one is being installed. Raises what the chunks raise.

        OSError after the replica was frozen means that the node must stop.
        """
        if self._is_installing:
            return False
        self._is_installing = True
        generation = self.folder.begin_install()
        try:
            await self.store.fill(str(generation.folder), mark, chunks)
        except BaseException:
            self._is_installing = False
            self.folder.discard(generation)
            raise
        # From here on this life says nothing: its promises must all be in the new journal.
        replica.freeze(asyncio.get_running_loop().time())
        await threads.behind_writes(lambda: self._put_in_use(replica, generation, mark))
        return True

    def _put_in_use(self, replica: Replica, generation: Generation, mark: SnapshotMark) -> None:
        files = DiskFiles(generation.journal)
        replica.journal.install(files, mark)
        files.close()
        self.folder.put_in_use(generation)
