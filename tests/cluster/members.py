"""A cluster whose nodes come and go, and the ways back from a drain and from a pause."""

import asyncio
from functools import partial
from typing import Any

import httpx2

from molecule.cli import joining, local, local_files
from molecule.cli.joining import JoinToken
from molecule.cli.local import LocalCluster
from molecule.cli.waiting import until
from tests.cluster.cluster import MOVED_WITHIN_S, NODES, Cluster
from tests.cluster.patience import insisted, until_shown


class Growing(Cluster):
    """The same, with these deeds."""

    async def token(self, **fields: Any) -> str:
        """A join token."""
        answer = await self.post("/api/v1/cluster/tokens", fields)
        assert answer.is_success, answer.text
        return str(answer.json()["token"])

    async def join(self, node: str, *, at: str) -> None:
        """A new node in this folder joins through the node `at`; returns when it votes."""
        token = JoinToken.parse(await self.token())
        folder = self.local.place.folder
        place = local_files.next_node(folder, node=node, host="127.0.0.1", first_port=None)
        await asyncio.to_thread(
            joining.obtain, self.place(at).http, token, node=place, folder=folder
        )
        self.local = await local.started(folder, node)

    async def leave(self, node: str, *, dead: bool = False) -> httpx2.Response:
        """Drain a node and take it out; stop it when it left."""
        others = [each.id for each in self.local.place.nodes if each.id != node]
        if not dead:
            drained = await self.post(f"/api/v1/nodes/{node}/drain", {"timeout_ms": 20_000})
            assert drained.is_success, drained.text

            async def look() -> bool | None:
                shown = await self.get(f"/api/v1/nodes/{node}", fresh="true")
                return (shown.is_success and bool(shown.json()["drained"])) or None

            await until(look, what=f"{node} to be drained", within_s=60)
        runs = next(each for each in others if self._runs(each))
        answer = await self.post(f"/api/v1/cluster/leave/{node}", {"dead": dead}, at=runs)
        if answer.is_success:
            await self.local.stop(self.local.node(node))
            local_files.forget(self.local.place.folder, node)
            self.local = LocalCluster.at(self.local.place.folder)
        return answer

    async def registered(self, node: str) -> None:
        """Wait until the cluster knows this life of a node."""

        async def look() -> bool | None:
            shown = await self.get(f"/api/v1/nodes/{node}")
            return (shown.is_success and bool(shown.json()["up"])) or None

        await until(look, what=f"{node} to be registered", within_s=MOVED_WITHIN_S)

    async def becomes_lost(self, node: str) -> None:
        """Wait until the cluster says so."""

        async def look() -> bool | None:
            shown = await self.get(f"/api/v1/nodes/{node}")
            return (shown.is_success and not shown.json()["up"]) or None

        await until(look, what=f"{node} to be lost", within_s=MOVED_WITHIN_S)


async def undrain_all(cluster: Cluster) -> None:
    """Let every node take work; returns when the cluster says so and each node was told."""
    seen: list[tuple[str, str]] = []

    async def look() -> bool | None:
        seen.clear()
        for node in NODES:
            nodes = (await cluster.status(at=node))["nodes"]
            seen.extend((node, each["id"]) for each in nodes if each["draining"])
        for node in {node for _, node in seen}:
            await cluster.post(f"/api/v1/nodes/{node}/undrain", {})
        # A node goes by what the leader tells it with a heartbeat, not by its copy of the log.
        for node in NODES:
            told = (await cluster.get("/readyz", at=node)).json()
            if not told["ready"]:
                seen.append((node, str(told["reasons"])))
        return not seen or None

    await until_shown(look, "no node to be drained", 60, lambda: seen)


async def resume_all(cluster: Cluster) -> None:
    """Let every paused process start its work again."""
    items = (await cluster.get("/api/v1/processes", fresh="true")).json()["items"]
    for each in items:
        if each["paused"]:
            body = {"environment": each["environment"]}
            await insisted(
                partial(cluster.post, f"/api/v1/processes/{each['process']}/resume", body)
            )
