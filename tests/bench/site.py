"""The cluster under measurement: three real nodes, started as `molecule up` starts them.

What must stay true: a leader that changes or a process that dies while nobody broke anything fails
the run, because its figures would be those of a failover.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from molecule.cli import local_files, local_process
from molecule.cli.local import LocalCluster
from molecule.cli.local_files import Layout, NodePlace
from molecule.cli.waiting import until
from tests.bench import machine, processes
from tests.bench.load import Found, Job
from tests.bench.target import Target
from tests.tidy.source import ROOT

_NODES = 3
_EXTENSION = "[molecule.components]\nbench = tests.bench.touch\n"


class Disturbed(Exception):
    """Something died or another node leads, and the bench did not do it."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a piece of load cost: CPU seconds by role, the client's too."""

    found: Found
    cpu_s: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Executions per second."""
        return self.found.done / self.found.seconds

    @property
    def client_share(self) -> float:
        """The client's part of the CPU time of everything together."""
        return self.cpu_s["client"] / sum(self.cpu_s.values())

    def us_each(self) -> dict[str, int]:
        """CPU microseconds per execution, by role."""
        return {
            role: round(seconds * 1e6 / self.found.done)
            for role, seconds in sorted(self.cpu_s.items())
            if self.found.done
        }


class Site:
    """An async context manager; the folder is used up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.target = Target()

    async def __aenter__(self) -> Self:
        _extend(self._folder / "extension")
        await self.target.start()
        place = local_files.make((self._folder / "cluster").resolve(), Layout(nodes=_NODES))
        self.local = LocalCluster(place)
        self._client = self.local.client(timeout_s=90.0)
        self.nodes = {node.id: node for node in place.nodes}
        try:
            await self.start_all()
            await self._apply()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._close()

    async def _close(self) -> None:
        for node in self.nodes.values():
            mark = self.local.mark(node)
            if mark is not None:
                local_process.signal_all(mark, signal.SIGKILL)
                await local_process.until_gone(mark, within_s=20)
        await self._client.aclose()
        await self.target.stop()

    # ---- the nodes

    async def start_all(self) -> None:
        """Start what does not run; returns when all take work."""
        for node in self.nodes.values():
            self.local.start(node)
        async with asyncio.TaskGroup() as group:
            for node in self.nodes.values():
                group.create_task(self.local.ready(node, within_s=60))

    async def start(self, node: str) -> None:
        """Start one and wait until it takes work."""
        self.local.start(self.nodes[node])
        await self.local.ready(self.nodes[node], within_s=60)

    def kill(self, node: str) -> None:
        """`kill -9` of a whole node: the supervisor first, so that nobody reports the death."""
        mark = self.local.mark(self.nodes[node])
        if mark is None:
            raise Disturbed(f"{node} does not run")
        local_process.signal_all(mark, signal.SIGKILL)

    async def until_gone(self, node: str) -> None:
        """Wait until no process of a killed node is left."""
        mark = self.local.mark(self.nodes[node])
        if mark is not None:
            await local_process.until_gone(mark, within_s=20)

    async def until_calm(self) -> None:
        """Start what was killed, and wait until it takes work and nothing is assigned any more."""
        await self.start_all()

        async def look() -> bool | None:
            status = await self.status(self.nodes[await self.leader()])
            if any(not node["up"] for node in status.get("nodes", [{"up": False}])):
                return None
            counts = status["counts"]
            return True if counts["ASSIGNED"] == 0 else None

        await until(look, what="a calm cluster", within_s=60)

    def kill_role(self, node: str, role: str) -> None:
        """`kill -9` of one process of a node."""
        for pid, found in self.pids(node).items():
            if found == role:
                os.kill(pid, signal.SIGKILL)

    def pids(self, *nodes: str) -> dict[int, str]:
        """Role by process id, of these nodes or all."""
        found = {}
        for node in nodes or tuple(self.nodes):
            mark = self.local.mark(self.nodes[node])
            members = local_process.members(mark) if mark is not None else []
            found.update({each.pid: machine.role_of(each.command) for each in members})
        return found

    async def leader(self) -> str:
        """The node that leads, as a living node sees it."""

        async def look() -> str | None:
            for node in self.nodes.values():
                try:
                    status = await self.status(node)
                except httpx2.TransportError:
                    continue
                if status["leader"]:
                    return str(status["leader"])
            return None

        return await until(look, what="a leader", within_s=60)

    async def followers(self) -> list[str]:
        """All the others."""
        leader = await self.leader()
        return [node for node in self.nodes if node != leader]

    # ---- asking

    async def status(self, node: NodePlace) -> dict[str, Any]:
        """The cluster in numbers."""
        answer = await self._client.get(f"{node.url}/api/v1/cluster")
        if not answer.is_success:
            return {"leader": ""}
        shown: dict[str, Any] = answer.json()
        return shown

    async def counts(self) -> dict[str, int]:
        """Executions by state."""
        status = await self.status(self.nodes[await self.leader()])
        return dict(status["counts"])

    async def post(self, node: str, path: str, body: object, **query: str) -> Any:
        """One call with the ordinary client, insisting on success."""
        answer = await self._client.post(
            f"{self.nodes[node].url}/api/v1{path}", json=body, params=query
        )
        if not answer.is_success:
            raise Disturbed(f"{path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    async def get(self, node: str, path: str, **query: str) -> httpx2.Response:
        """One call with the ordinary client."""
        return await self._client.get(f"{self.nodes[node].url}{path}", params=query)

    async def _apply(self) -> None:
        files = processes.repository(target=self.target.url)
        node = next(iter(self.nodes))
        await self.post(node, "/apply", {"files": files}, environment=processes.ENVIRONMENT)

    # ---- measuring

    async def load(self, kind: str, *, at: list[str] | None = None, **settings: Any) -> Used:
        """Let the client process do a job; what it found and what everybody used for it."""
        place = self.local.place
        job = Job(
            kind=kind,
            ca=str(place.ca),
            token=place.token,
            addresses=[self.nodes[node].http for node in at or list(self.nodes)],
            **settings,
        )
        roles = self.pids()
        before = machine.cpu_seconds(roles)
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.load"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, errors = await client.communicate(json.dumps(asdict(job)).encode())
        after = machine.cpu_seconds(roles)
        if client.returncode:
            raise Disturbed(f"the client ended: {errors.decode().strip()[-2000:]}")
        found = Found(**json.loads(told))
        spent = Counter({role: after[role] - before[role] for role in after})
        spent["client"] = found.cpu_seconds  # type: ignore[assignment]  # seconds, not counts
        return Used(found, spent)

    def check_alive(self, before: Mapping[int, str]) -> None:
        """Fails when a process that was there before is gone."""
        after = self.pids()
        gone = sorted(role for pid, role in before.items() if pid not in after and role != "other")
        if gone:
            raise Disturbed(f"died without a fault: {', '.join(gone)}")

    async def epoch(self) -> int:
        """Grows with every leader."""
        return int((await self.status(self.nodes[await self.leader()]))["epoch"])


def _extend(folder: Path) -> None:
    """An installed extension for every process that is started from here on."""
    named = folder / "molecule_bench-0.0.dist-info"
    named.mkdir(parents=True)
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: molecule-bench\nVersion: 0.0\n")
    (named / "entry_points.txt").write_text(_EXTENSION)
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), str(ROOT), before]))
