"""Drivers on real disks, joined by links inside the process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from molecule.raft.driver import RaftDriver
from molecule.raft.generation import open_data_folder
from molecule.raft.outbox import SnapshotMark
from molecule.raft.settings import Bounds, Timing


class Recorder:
    """A state machine that keeps its entries; the result of one is how many there are."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.last_index = 0
        self.last_term = 0

    def apply(self, index: int, term: int, data: bytes) -> object:
        self.entries.append(data)
        self.last_index, self.last_term = index, term
        return len(self.entries)


class Snapshots:
    """Snapshots that are the recorder's entries, one chunk each."""

    def __init__(self, member: "Member") -> None:
        self.member = member

    async def open_snapshot(self) -> tuple[SnapshotMark, AsyncIterator[bytes]]:
        machine = self.member.machine
        entries = list(machine.entries)

        async def chunks() -> AsyncIterator[bytes]:
            for entry in entries:
                yield entry

        return SnapshotMark(machine.last_index, machine.last_term), chunks()

    async def send_snapshot(
        self, peer: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]
    ) -> bool:
        receiver = self.member.network.members[peer]
        return await receiver.driver.receive_snapshot(self.member.name, mark, chunks)

    async def fill(self, folder: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]) -> None:
        data = b"\n".join([chunk async for chunk in chunks])
        await asyncio.to_thread((Path(folder) / "state.db").write_bytes, data)


class Member:
    """One voter: folder, driver, state machine."""

    def __init__(self, network: "Network", name: str, path: Path) -> None:
        self.network = network
        self.name = name
        self.path = path
        self.machine = Recorder()
        self.fatal: list[str] = []
        self.installed: list[SnapshotMark] = []

    def send(self, peer: str, connection: int, frame: bytes) -> None:
        self.network.deliver(self.name, peer, connection, frame)

    def follow(self, addresses: Mapping[str, str]) -> None:
        """Links are made by the tests."""

    async def start(self, *, snapshot: SnapshotMark | None = None, birth: str = "") -> None:
        snapshots = Snapshots(self)
        folder = open_data_folder(
            self.path,
            cluster="test",
            node=self.name,
            voters=self.network.names,
            new_birth=birth or f"birth-of-{self.name}",
            bounds=self.network.bounds,
        )
        self.driver = RaftDriver(
            folder=folder,
            timing=self.network.timing,
            snapshot=snapshot,
            state_machine=self.machine,
            transport=self,
            snapshot_sender=snapshots,
            snapshot_store=snapshots,
            on_fatal=self.fatal.append,
            on_installed=self.installed.append,
            bounds=self.network.bounds,
        )
        self.folder = folder
        await self.driver.start()

    async def stop(self) -> None:
        await self.driver.stop()
        self.folder.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait, with a bound that only a broken test reaches."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.005)


class Network:
    """Links that deliver in order on the next turn of the loop."""

    def __init__(
        self, path: Path, names: str = "abc", *, bounds: Bounds | None = None, scale: float = 1
    ) -> None:
        self.names = tuple(names)
        self.bounds = bounds or Bounds(segment_bytes=16 * 1024 * 1024)
        self.timing = Timing().scaled(scale)
        self.members = {name: Member(self, name, path / name) for name in names}
        self.links: dict[frozenset[str], int] = {}
        self._connections = 0

    def deliver(self, sender: str, peer: str, connection: int, frame: bytes) -> None:
        if self.links.get(frozenset((sender, peer))) == connection:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._arrive, sender, peer, connection, frame)

    def _arrive(self, sender: str, peer: str, connection: int, frame: bytes) -> None:
        if self.links.get(frozenset((sender, peer))) == connection:
            self.members[peer].driver.receive(sender, connection, frame)

    def connect(self, name: str) -> None:
        for other in self.names:
            pair = frozenset((name, other))
            if other != name and pair not in self.links and hasattr(self.members[other], "driver"):
                self._connections += 1
                self.links[pair] = self._connections
                self.members[name].driver.link_up(other, self._connections)
                self.members[other].driver.link_up(name, self._connections)

    def cut(self, name: str) -> None:
        for other in self.names:
            connection = self.links.pop(frozenset((name, other)), None)
            if connection is not None:
                self.members[name].driver.link_down(other, connection)
                self.members[other].driver.link_down(name, connection)

    async def start(self, name: str, **settings: object) -> None:
        await self.members[name].start(**settings)  # type: ignore[arg-type]  # passed on as they are
        self.connect(name)

    async def start_all(self) -> None:
        for name in self.names:
            await self.start(name)

    async def stop_all(self) -> None:
        for member in self.members.values():
            if hasattr(member, "driver"):
                await member.stop()

    async def leader(self, *, among: str | None = None) -> Member:
        """Wait for a leader that answers a barrier."""
        async with asyncio.timeout(20):
            while True:
                for name in among or self.names:
                    member = self.members[name]
                    if member.driver.is_leader:
                        await member.driver.barrier()
                        return member
                await asyncio.sleep(0.005)
