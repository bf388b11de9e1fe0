"""Drivers on real disks, joined by real links: gRPC over mutual TLS on free ports."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from molecule.config import Limits
from molecule.config import Timing as LinkTiming
from molecule.model.errors import MoleculeError
from molecule.node.snapshots import DriverLinks
from molecule.raft.configuration import Member
from molecule.raft.driver import RaftDriver
from molecule.raft.generation import DataFolder, open_data_folder
from molecule.raft.outbox import SnapshotMark
from molecule.raft.settings import Bounds, Timing
from molecule.rpc.channel import PeerChannels
from molecule.rpc.raft_link import RaftLinks
from molecule.rpc.server import PeerServer
from tests.adapters.raft.cluster import Recorder, until
from tests.adapters.rpc.cluster_of_two import live

SMALL = Bounds(
    entry_bytes_max=16_384,
    append_bytes_max=65_536,
    segment_bytes=256 * 1024,
    entries_kept=16,
    reserve_bytes=8_192,
)
_LINKS = LinkTiming(link_ping_ms=100, link_silence_ms=1000, link_redial_max_ms=100)


class Node:
    """One node process, without what is above consensus; restarts itself after an install."""

    def __init__(self, site: "Site", name: str) -> None:
        self.site, self.name = site, name
        self.path = site.path / name
        self.refused: list[str] = []
        self.fatal: list[str] = []
        self.installed = asyncio.Event()
        self.machine = Recorder()
        self.is_running = False
        self._births = 0

    @property
    def member(self) -> Member:
        birth = self.folder.identity.birth
        return Member(self.name, self.site.addresses[self.name], birth)

    async def start(self) -> None:
        self.folder: DataFolder = open_data_folder(
            self.path,
            cluster="flights",
            node=self.name,
            voters=self.site.founders,
            new_birth=f"{self.name}-{self._births}",
            bounds=SMALL,
        )
        self._births += 1
        self.machine = Recorder()
        mark = self._load()
        limits = Limits()
        channels = PeerChannels(live(self.name), limits=limits)
        self.links = RaftLinks(
            me=self.name, peers={}, channels=channels, timing=_LINKS, limits=limits
        )
        self.driver = RaftDriver(
            folder=self.folder,
            addresses={founder: self.site.addresses[founder] for founder in self.site.founders},
            timing=Timing().scaled(2),
            snapshot=mark,
            state_machine=self.machine,
            transport=self.links,
            snapshot_sender=self.links,
            snapshot_store=self,
            on_fatal=self.fatal.append,
            on_refused=self.refused.append,
            on_installed=lambda _: self.installed.set(),
            bounds=SMALL,
        )
        self.links.attach(DriverLinks(self.driver))
        self.server = PeerServer(self.site.addresses[self.name], live(self.name), limits=limits)
        self.links.register(self.server)
        await self.driver.start()
        await self.server.start()
        self._tasks = [
            asyncio.create_task(self.links.run()),
            asyncio.create_task(self._restart_after_install()),
        ]
        self.is_running = True

    async def stop(self, *, empties: bool = False) -> None:
        if self.is_running:
            self.is_running = False
            for task in self._tasks:
                if task is not asyncio.current_task():
                    task.cancel()
            others = [task for task in self._tasks if task is not asyncio.current_task()]
            await asyncio.gather(*others, return_exceptions=True)
            await self.server.stop()
            await self.driver.stop()
            self.folder.close()
        if empties:
            shutil.rmtree(self.path)

    async def _restart_after_install(self) -> None:
        await self.installed.wait()
        self.installed.clear()
        await self.stop()
        await self.start()

    # --- the state: entries, one a line, below the mark they stand for --------------------------

    def save(self) -> None:
        """Make the state durable, so that the journal below it may go."""
        machine = self.machine
        self._write(self.folder.generation.state, b"\n".join(machine.entries))
        self.driver.saved(SnapshotMark(machine.last_index, machine.last_term))

    def _write(self, path: Path, entries: bytes) -> None:
        machine = self.machine
        path.write_bytes(b"%d %d\n" % (machine.last_index, machine.last_term) + entries)

    def _load(self) -> SnapshotMark | None:
        path = self.folder.generation.state
        if not path.exists():
            return None
        head, *entries = path.read_bytes().split(b"\n")
        index, term = map(int, head.split())
        self.machine.entries = [entry for entry in entries if entry]
        self.machine.last_index, self.machine.last_term = index, term
        return SnapshotMark(index, term)

    async def open_snapshot(self) -> tuple[SnapshotMark, AsyncIterator[bytes]]:
        content = self.folder.generation.state.read_bytes()
        index, term = map(int, content.split(b"\n", 1)[0].split())

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        return SnapshotMark(index, term), chunks()

    async def fill(self, folder: str, mark: SnapshotMark, chunks: AsyncIterator[bytes]) -> None:
        del mark
        content = b"".join([chunk async for chunk in chunks])
        (Path(folder) / "state.db").write_bytes(content)


class Site:
    """All machines of one test."""

    def __init__(self, path: Path, names: tuple[str, ...], founders: tuple[str, ...]) -> None:
        self.path, self.founders = path, founders
        with contextlib.ExitStack() as stack:
            taken = {name: stack.enter_context(socket.socket()) for name in names}
            for plain in taken.values():
                plain.bind(("127.0.0.1", 0))
            ports = {name: plain.getsockname()[1] for name, plain in taken.items()}
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.nodes = {name: Node(self, name) for name in names}
        self.written: list[bytes] = []

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def _leading(self) -> Node | None:
        leading = [n for n in self.nodes.values() if n.is_running and n.driver.is_leader]
        return max(leading, key=lambda node: node.driver.term, default=None)

    async def leader(self) -> Node:
        """Whoever leads with a majority."""
        async with asyncio.timeout(30):
            while True:
                node = self._leading()
                if node is not None:
                    with contextlib.suppress(MoleculeError):
                        await node.driver.barrier()
                        return node
                await asyncio.sleep(0.02)

    async def grow(self, name: str) -> None:
        """Start a machine with an empty folder and let it become a voter."""
        await self[name].start()
        member = self[name].member
        await self.repeat(lambda leader: leader.driver.add_learner(member))
        await self.repeat(lambda leader: leader.driver.promote(name))

    async def shrink(self, name: str) -> None:
        """Take a voter out and switch it off once it heard so."""
        await self.repeat(lambda leader: leader.driver.remove(name))
        if self[name].is_running:
            await until(lambda: self[name].refused)
            await self[name].stop(empties=True)
            self[name].refused.clear()

    async def repeat(self, ask: Callable[[Node], Awaitable[object]]) -> None:
        """Ask the leader of the moment until it is done."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await ask(await self.leader())
                except MoleculeError as error:
                    if not error.retryable:
                        raise
                else:
                    return
                await asyncio.sleep(0.05)

    async def write_for_ever(self) -> None:
        """A client that writes numbers and remembers those that were acknowledged."""
        number = 0
        while True:
            number += 1
            data = b"%d" % number
            try:
                leader = await self.leader()
                await leader.driver.propose(data)
                self.written.append(data)
            except MoleculeError:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def a_site(path: Path, *names: str, founders: tuple[str, ...]) -> AsyncIterator[Site]:
    """Machines, the founders started, with a client that writes all the time."""
    site = Site(path, names, founders)
    for founder in founders:
        await site[founder].start()
    client = asyncio.create_task(site.write_for_ever())
    try:
        yield site
    finally:
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        for node in site.nodes.values():
            await node.stop()
