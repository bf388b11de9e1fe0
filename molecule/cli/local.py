"""`molecule up` and `molecule down`: a cluster of several nodes on this machine.

Each node is started exactly as on a server of its own, by `molecule serve`, in a session of its own
with a data folder of its own. `down` keeps all data; `up` in the same folder goes on with it.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2

from molecule.cli import local_files, local_process
from molecule.cli.local_files import ClusterPlace, Layout, NodePlace
from molecule.cli.local_process import ProcessMark
from molecule.cli.waiting import NotInTime, until

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 25.0
_LOG_TAIL_LINES: Final = 12


class LocalError(Exception):
    """A local cluster could not be started or stopped; the message says what to do."""


def _silent(_line: str) -> None: ...


class LocalCluster:
    """The nodes of one folder: start, stop, find again. Keeps no state but the files."""

    def __init__(self, place: ClusterPlace) -> None:
        self.place = place

    @classmethod
    def at(cls, folder: Path, layout: Layout | None = None) -> "LocalCluster":
        """The cluster of this folder; made by `layout` when there is none yet."""
        folder = folder.resolve()
        if local_files.exists(folder):
            return cls(local_files.load(folder))
        if layout is None:
            raise LocalError(f"there is no local cluster in {folder}; start one with: molecule up")
        return cls(local_files.make(folder, layout))

    def node(self, node_id: str) -> NodePlace:
        """One node by its id."""
        for node in self.place.nodes:
            if node.id == node_id:
                return node
        raise LocalError(f"there is no node {node_id} in {self.place.folder}")

    def mark(self, node: NodePlace) -> ProcessMark | None:
        """The supervisor of a node, if any of the node's processes lives."""
        try:
            kept = json.loads(_mark_file(node).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        mark = ProcessMark(kept["pid"], kept["started_ticks"])
        return mark if local_process.members(mark) else None

    def start(self, node: NodePlace) -> ProcessMark:
        """Start a node that is not running; does not wait for it."""
        running = self.mark(node)
        if running is not None:
            return running
        command = [sys.executable, "-m", "molecule", "serve", "--config", str(node.config)]
        mark = local_process.start(command, log=node.log, environ=os.environ)
        kept = {"pid": mark.pid, "started_ticks": mark.started_ticks}
        _mark_file(node).write_text(json.dumps(kept), encoding="utf-8")
        return mark

    async def stop(self, node: NodePlace) -> bool:
        """Stop a node, gracefully if it can; True when it was running."""
        mark = self.mark(node)
        if mark is None:
            return False
        await local_process.stop(mark, grace_s=STOP_WITHIN_S)
        _mark_file(node).unlink(missing_ok=True)
        return True

    async def ready(self, node: NodePlace, *, within_s: float = READY_WITHIN_S) -> None:
        """Wait until a node takes work; `LocalError` with the end of its log when it does not."""
        if node.role == "worker":
            await self._registered(node, within_s=within_s)
            return
        async with self.client() as client:
            reasons = "it does not answer"

            async def look() -> bool | None:
                nonlocal reasons
                if self.mark(node) is None:
                    raise LocalError(f"node {node.id} ended at once.\n{_tail(node.log)}")
                try:
                    answer = await client.get(f"{node.url}/readyz")
                except httpx2.TransportError as error:
                    reasons = str(error) or type(error).__name__
                    return None
                if answer.status_code == httpx2.codes.OK:
                    return True
                if answer.json().get("draining"):
                    # It stays so until a person undrains it; all else is in order.
                    return True
                reasons = ", ".join(answer.json().get("reasons", ())) or answer.text
                return None

            try:
                await until(look, what=f"node {node.id} to be ready", within_s=within_s)
            except NotInTime as error:
                raise LocalError(f"{error}: {reasons}\n{_tail(node.log)}") from None

    async def _registered(self, node: NodePlace, *, within_s: float) -> None:
        """The voters must say it of a worker node: that answers nobody."""
        voters = [each for each in self.place.nodes if each.role == "voter"]
        async with self.client() as client:

            async def look() -> bool | None:
                if self.mark(node) is None:
                    raise LocalError(f"node {node.id} ended at once.\n{_tail(node.log)}")
                for voter in voters:
                    try:
                        answer = await client.get(f"{voter.url}/api/v1/nodes/{node.id}")
                    except httpx2.TransportError:
                        continue
                    if answer.is_success:
                        return bool(answer.json()["up"]) or None
                return None

            try:
                await until(look, what=f"worker node {node.id} to register", within_s=within_s)
            except NotInTime as error:
                raise LocalError(f"{error}\n{_tail(node.log)}") from None

    def client(self, *, timeout_s: float = 5.0) -> httpx2.AsyncClient:
        """A client that trusts this cluster's authority and carries the admin token."""
        context = ssl.create_default_context(cafile=str(self.place.ca))
        return httpx2.AsyncClient(
            verify=context,
            timeout=timeout_s,
            trust_env=False,
            headers={"authorization": f"Bearer {self.place.token}"} if self.place.token else {},
        )


async def up(
    folder: Path,
    *,
    nodes: int = 3,
    worker_nodes: int = 0,
    first_port: int | None = None,
    timing_profile: str = "normal",
    say: Callable[[str], None] = _silent,
) -> LocalCluster:
    """Start the cluster of this folder, making it first if need be; returns when it takes work."""
    layout = Layout(
        nodes=nodes,
        worker_nodes=worker_nodes,
        first_port=first_port,
        timing_profile=timing_profile,
    )
    is_new = not local_files.exists(folder)
    cluster = LocalCluster.at(folder, layout)
    count = len(cluster.place.nodes)
    say(f"{'making' if is_new else 'continuing'} a cluster of {count} in {folder}")
    for node in cluster.place.nodes:
        cluster.start(node)
    try:
        async with asyncio.TaskGroup() as group:
            for node in cluster.place.nodes:
                group.create_task(cluster.ready(node))
    except* LocalError as errors:
        await down(folder)
        raise LocalError(str(errors.exceptions[0])) from None
    for node in cluster.place.nodes:
        where = f"ready at {node.url}" if node.role == "voter" else "a worker node"
        say(f"{node.id} is {where}, log {node.log}")
    return cluster


async def started(
    folder: Path, node_id: str, *, say: Callable[[str], None] = _silent
) -> LocalCluster:
    """Start a node that was let in; returns when it is a voter and takes work."""
    cluster = LocalCluster.at(folder)
    node = cluster.node(node_id)
    cluster.start(node)
    await cluster.ready(node)
    say(f"{node_id} receives the log and the documents")
    async with cluster.client() as client:

        async def look() -> bool | None:
            try:
                answer = await client.get(f"{node.url}/readyz")
                return answer.json().get("role") == "voter" or None
            except (httpx2.TransportError, ValueError):
                return None

        try:
            await until(look, what=f"{node_id} to become a voter", within_s=READY_WITHIN_S)
        except NotInTime as error:
            raise LocalError(f"{error}\n{_tail(node.log)}") from None
    say(f"{node_id} is a voter at {node.url}, log {node.log}")
    return cluster


async def left(folder: Path, node_id: str) -> bool:
    """Stop a node that is no member any more and take it off this folder's list, if it is there."""
    if not local_files.exists(folder):
        return False
    cluster = LocalCluster.at(folder)
    known = [node for node in cluster.place.nodes if node.id == node_id]
    for node in known:
        await cluster.stop(node)
        local_files.forget(folder, node_id)
    return bool(known)


async def down(folder: Path, *, say: Callable[[str], None] = _silent) -> int:
    """Stop all nodes of this folder and keep their data; the number that was running."""
    cluster = LocalCluster.at(folder)
    async with asyncio.TaskGroup() as group:
        stopping = [group.create_task(cluster.stop(node)) for node in cluster.place.nodes]
    stopped = sum(task.result() for task in stopping)
    say(f"stopped {stopped} of {len(stopping)} nodes; data is kept in {folder}")
    return stopped


def _mark_file(node: NodePlace) -> Path:
    return node.folder / "supervisor.json"


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"It left no log in {log}."
    return "\n".join([f"The end of {log}:", *lines[-_LOG_TAIL_LINES:]])
