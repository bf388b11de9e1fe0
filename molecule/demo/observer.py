"""What the demo sees of its cluster: only answers of the REST API, from any node that answers.

Leaves every decision to `faults.py`. What must stay true: a node that is dead or frozen costs a
look at most its short time-out, never the run.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import httpx2

from molecule.cli.local import LocalCluster
from molecule.cli.local_files import NodePlace
from molecule.cli.waiting import until
from molecule.demo.faults import ClusterView, NodeView, Place
from molecule.demo.outside import ENVIRONMENT

_LOOK_S: Final = 1.0
_PAGE: Final = 500
_ACCEPT_WITHIN_S: Final = 60.0


class Observer:
    """Asks the nodes of one local cluster. Use as an async context manager."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._client = cluster.client(timeout_s=_LOOK_S)
        self._avoided = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    def avoid(self, node_id: str) -> None:
        """Do not ask this node while it is known to be away; an empty id asks all again."""
        self._avoided = node_id

    async def look(self) -> ClusterView | None:
        """The cluster now; None when nobody answers."""
        status = await self.get("/api/v1/cluster")
        listed = await self.get("/api/v1/nodes")
        if status is None or listed is None:
            return None
        known = {each["id"]: each for each in listed["items"]}
        nodes = [await self._node(place, known.get(place.id)) for place in self._places()]
        law = status["conservation"]
        return ClusterView(
            leader=status["leader"],
            nodes=tuple(nodes),
            accepted=law["accepted"],
            ended=law["completed"] + law["failed"] + law["cancelled"],
        )

    async def status(self) -> dict[str, Any] | None:
        """The cluster in numbers."""
        shown: dict[str, Any] | None = await self.get("/api/v1/cluster")
        return shown

    async def assigned(self) -> dict[str, Place] | None:
        """Every execution that is assigned to a node; None when nobody answers."""
        found: dict[str, Place] = {}
        query = {"state": "ASSIGNED", "limit": str(_PAGE)}
        while True:
            page = await self.get("/api/v1/executions", query)
            if page is None:
                return None
            found |= {each["id"]: place_of(each) for each in page["items"]}
            if not page["next"]:
                return found
            query["cursor"] = page["next"]

    async def places(self, executions: Iterable[str]) -> dict[str, Place]:
        """Where these executions are; those that nobody can tell are left out."""
        found = {}
        for execution in executions:
            shown = await self.get(f"/api/v1/executions/{execution}")
            if shown is not None:
                found[execution] = place_of(shown)
        return found

    async def accepted(self, process: str, key: str) -> None:
        """Submit one execution, again and again with the same key, until somebody accepts it."""
        body = {"process": process, "environment": ENVIRONMENT, "input": {}}

        async def submit() -> bool | None:
            for place in self._places():
                try:
                    answer = await self._client.post(
                        f"{place.url}/api/v1/executions",
                        json=body,
                        headers={"idempotency-key": key},
                    )
                except httpx2.TransportError:
                    continue
                if answer.is_success:
                    return True
            return None

        await until(submit, what="an accepted submission", within_s=_ACCEPT_WITHIN_S, pause_s=0.01)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON of the first node that answers well; None when none does."""
        for place in self._places():
            try:
                answer = await self._client.get(f"{place.url}{path}", params=dict(query or {}))
            except httpx2.TransportError:
                continue
            if answer.is_success:
                return answer.json()
        return None

    async def _node(self, place: NodePlace, shown: Mapping[str, Any] | None) -> NodeView:
        held = shown["held"] if shown else 0
        if shown is None or not shown["up"] or place.id == self._avoided:
            return NodeView(place.id, is_ready=False, in_flight=held)
        try:
            probe = await self._client.get(f"{place.url}/readyz")
        except httpx2.TransportError:
            return NodeView(place.id, is_ready=False, in_flight=held)
        return NodeView(place.id, is_ready=probe.is_success, in_flight=held)

    def _places(self) -> list[NodePlace]:
        return [place for place in self._cluster.place.nodes if place.id != self._avoided]


def place_of(shown: Mapping[str, Any]) -> Place:
    """Where an execution is, from its JSON."""
    return Place(shown["state"], shown["node"], shown["attempts"])
