"""A voter that is lost for good is replaced, as a person would do it: leave, token, join.

What must stay true: every step is a call of the public interface or a command of the command line.
"""

import asyncio
from typing import Any, Final

import httpx2

from molecule.cli import joining, local, local_files
from molecule.cli.joining import JoinToken
from molecule.cli.local import LocalCluster, LocalError
from molecule.cli.waiting import until

_WITHIN_S: Final = 60.0


class Replacing:
    """The replacement of one node of a local cluster."""

    def __init__(self, cluster: LocalCluster, lost: str) -> None:
        self._cluster = cluster
        self._lost = lost

    async def carry_out(self) -> str:
        """Returns the new node's name when it votes."""
        folder = self._cluster.place.folder
        async with self._cluster.client(timeout_s=30.0) as client:
            await until(
                lambda: self._left(client), what=f"{self._lost} to be removed", within_s=_WITHIN_S
            )
            local_files.forget(folder, self._lost)
            self._cluster.place = local_files.load(folder)
            told = await self._post(client, "/api/v1/cluster/tokens", {})
        token = JoinToken.parse(told["token"])
        place = local_files.next_node(folder, node="", host=local_files.HOST, first_port=None)
        at = self._cluster.place.nodes[0].http
        await asyncio.to_thread(joining.obtain, at, token, node=place, folder=folder)
        self._cluster.place = local_files.load(folder)
        await local.started(folder, place.id)
        return place.id

    async def _left(self, client: httpx2.AsyncClient) -> bool | None:
        """True once the cluster has seen that the node is lost and has taken it out."""
        try:
            await self._post(client, f"/api/v1/cluster/leave/{self._lost}", {"dead": True})
        except LocalError:
            return None
        return True

    async def _post(self, client: httpx2.AsyncClient, path: str, body: Any) -> dict[str, Any]:
        why = "no node answers"
        for node in self._cluster.place.nodes:
            if node.id == self._lost:
                continue
            try:
                answer = await client.post(f"{node.url}{path}", json=body)
            except httpx2.TransportError as error:
                why = str(error) or type(error).__name__
                continue
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            why = answer.text
        raise LocalError(f"{path} was refused: {why}")
