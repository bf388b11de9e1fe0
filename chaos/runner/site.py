"""The cluster under test: its nodes as processes, the links between them, who leads and who works.

Started by the same code as `molecule up`. What must stay true: `close` leaves no process behind,
and only processes of this cluster are ever signalled.
"""

import asyncio
import enum
import json
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from chaos.runner import clocks, volumes
from chaos.runner.clocks import Clock
from chaos.runner.links import Links
from chaos.runner.target import Target
from chaos.runner.volumes import Volume
from molecule.cli import local_files, local_process
from molecule.cli.local import LocalCluster, LocalError
from molecule.cli.local_files import Layout
from molecule.cli.local_process import Member, ProcessMark
from molecule.cli.waiting import until

READY_WITHIN_S: Final = 90.0
GONE_WITHIN_S: Final = 20.0
MODULES: Final[Mapping[str, str]] = {
    "supervisor": "molecule.serve",
    "node": "molecule.node",
    "gateway": "molecule.gateway",
    "worker": "molecule.worker",
}


class Need(enum.StrEnum):
    """What each node of a site can have beside what every cluster has."""

    VOLUMES = "disks of their own"
    CLOCKS = "clocks of their own"


@dataclass(slots=True)
class Site:
    """Made by `open_site`."""

    local: LocalCluster
    links: Links
    target: Target
    http: httpx2.AsyncClient
    volumes: dict[str, Volume] = field(default_factory=dict)
    """The disk of each node, in a run that asked for disks of their own."""
    clocks: dict[str, Clock] = field(default_factory=dict)
    """The wall clock of each node, in a run that asked for clocks of their own."""
    down: set[str] = field(default_factory=set)
    """Nodes that a fault ended; who asks the cluster asks the others."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Ids of all nodes, in order."""
        return tuple(node.id for node in self.local.place.nodes)

    def url(self, node: str) -> str:
        """Where a node answers HTTPS."""
        return self.local.node(node).url

    # --- processes ----------------------------------------------------------------------------

    def mark(self, node: str) -> ProcessMark | None:
        """The session of a node's processes, if any lives."""
        return self.local.mark(self.local.node(node))

    def members(self, node: str, role: str = "") -> list[Member]:
        """Living processes of a node, all or those of one role."""
        mark = self.mark(node)
        found = local_process.members(mark) if mark is not None else []
        return [one for one in found if not role or MODULES[role] in one.command.split()]

    def signal_one(self, node: str, pid: int, number: signal.Signals) -> bool:
        """Signal one process of a node; False when it is gone."""
        mark = self.mark(node)
        return mark is not None and local_process.send(mark, pid, number)

    def signal(self, node: str, number: signal.Signals) -> int:
        """Signal every process of a node; how many were reached."""
        mark = self.mark(node)
        return local_process.signal_all(mark, number) if mark is not None else 0

    async def gone(self, node: str) -> None:
        """Wait until no process of a node lives."""

        async def look() -> bool | None:
            return None if self.members(node) else True

        await until(look, what=f"the end of {node}", within_s=GONE_WITHIN_S)

    def launch(self, node: str) -> None:
        """Start a node that does not run, and go on at once."""
        more = self.clocks[node].environ if node in self.clocks else {}
        before = dict(os.environ)
        os.environ.update(more)
        try:
            self.local.start(self.local.node(node))
        finally:
            for name in more.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)

    async def start(self, *nodes: str) -> None:
        """Start these nodes and wait until each takes work."""
        for node in nodes:
            self.launch(node)
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                place = self.local.node(node)
                group.create_task(self.local.ready(place, within_s=READY_WITHIN_S))
        self.down -= set(nodes)

    async def ready(self, *nodes: str) -> None:
        """Wait until each of these nodes takes work."""
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                place = self.local.node(node)
                group.create_task(self.local.ready(place, within_s=READY_WITHIN_S))

    async def back(self, node: str) -> None:
        """Wait until a node takes work that may have ended, or may just be ending."""
        self.launch(node)
        place = self.local.node(node)
        try:
            await self.local.ready(place, within_s=READY_WITHIN_S)
            self.down.discard(node)
        except LocalError:
            if self.members(node):
                raise
            await self.start(node)

    async def stop(self, node: str) -> None:
        """End a node gracefully."""
        self.down.add(node)
        await self.local.stop(self.local.node(node))

    async def close(self) -> None:
        """Kill whatever is left."""
        for node in self.nodes:
            self.signal(node, signal.SIGKILL)
        for node in self.nodes:
            await self.gone(node)
        await self.http.aclose()
        await self.links.close()
        await volumes.unmount_all(list(self.volumes.values()))

    # --- asking -------------------------------------------------------------------------------

    async def get(self, node: str, path: str, **query: str) -> Any:
        """What a node answers; None when it does not, or not with success."""
        try:
            answer = await self.http.get(f"{self.url(node)}{path}", params=query)
        except httpx2.TransportError:
            return None
        return answer.json() if answer.is_success else None

    async def status(self) -> dict[str, Any]:
        """The cluster as the first node that can tell it sees it."""
        for node in self.nodes:
            if node not in self.down:
                told = await self.get(node, "/api/v1/cluster", fresh="true")
                if isinstance(told, dict):
                    return told
        return {}

    async def leader(self) -> str:
        """The node that leads; waits until there is one."""

        async def look() -> str | None:
            return (await self.status()).get("leader") or None

        return await until(look, what="a leader", within_s=READY_WITHIN_S)

    async def busiest(self) -> list[str]:
        """Followers by how much work they hold, the most first."""
        status = await self.status()
        held = {node["id"]: node["held"] for node in status.get("nodes", ()) if not node["leader"]}
        return sorted(held, key=lambda node: (-held[node], node))


@asynccontextmanager
async def open_site(
    folder: Path, target: Target, *, voters: int, needs: Collection[Need] = ()
) -> AsyncIterator[Site]:
    """A cluster in an empty folder, started, with links that can be cut."""
    names = tuple(f"n{number}" for number in range(1, voters + 1))
    links = Links(names)
    peers = await links.listen()
    place = local_files.make(folder, Layout(nodes=voters, peers=peers))
    links.lead_to({node.id: node.rpc for node in place.nodes})
    local = LocalCluster(place)
    site = Site(local, links, target, local.client(timeout_s=20.0))
    try:
        if Need.VOLUMES in needs:
            volumes.sweep()
            for node in place.nodes:
                site.volumes[node.id] = volumes.make(node.folder)
        if Need.CLOCKS in needs:
            library = clocks.compiled(folder)
            for node in place.nodes:
                site.clocks[node.id] = clocks.make(library, node.folder / "clock")
        await site.start(*site.nodes)
        yield site
    finally:
        await site.close()


async def deploy(site: Site, files: Mapping[str, str], environment: str) -> None:
    """Deploy, and insist that it is done."""
    refused: list[str] = []

    async def look() -> bool | None:
        for node in site.nodes:
            try:
                answer = await site.http.post(
                    f"{site.url(node)}/api/v1/apply",
                    json={"files": dict(files)},
                    params={"environment": environment},
                )
            except httpx2.TransportError:
                continue
            if answer.is_success:
                return True
            refused.append(answer.text)
            if not answer.json().get("retryable"):
                raise RuntimeError(f"the processes were refused: {answer.text}")
        return None

    await until(look, what="a deployment", within_s=READY_WITHIN_S, pause_s=0.2)


def log_lines(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a log from an offset on, and the offset behind them."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    end = data.rfind(b"\n") + 1
    found = []
    for line in data[:end].splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if isinstance(line, dict)], offset + end
