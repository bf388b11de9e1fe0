"""A node leaves and joins again by what the API offers, asked again until it is done."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from aiohttp import web

from chaos.faults.fault import NotConfirmed
from chaos.faults.membership import Leaves
from chaos.runner import members
from chaos.runner.site import Site
from molecule.cli.local_files import HOST


@dataclass
class Cluster:
    """Of n1 and n2, answered for by one server; refuses each wish once before it obeys."""

    url_of_all: str = ""
    asked: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    voters: list[str] = field(default_factory=lambda: ["n1", "n2"])
    shown: dict[str, Any] = field(default_factory=lambda: {"up": True, "drained": False})
    stopped: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    nodes: tuple[str, ...] = ("n1", "n2")
    http: Any = None
    is_back: bool = False

    def url(self, node: str) -> str:
        assert node != "n2"
        return self.url_of_all

    async def get(self, node: str, _path: str, **_query: str) -> dict[str, Any]:
        assert node != "n2"
        return self.shown

    async def status(self) -> dict[str, Any]:
        return {"voters": self.voters}

    async def back(self, node: str) -> None:
        self.is_back = node == "n2"

    async def stop(self, node: str) -> None:
        self.stopped.append(node)

    async def obey(self, request: web.Request) -> web.Response:
        if request.path not in self.refused:
            self.refused.add(request.path)
            return web.json_response({"code": "no_leader"}, status=503)
        body = await request.json()
        self.asked.append(f"{request.path} {body}")
        if request.path.endswith("drain"):
            self.shown["drained"] = True
        if "leave" in request.path:
            self.voters.remove("n2")
        return web.json_response({})

    def site(self) -> Site:
        return cast("Site", self)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    app = web.Application()
    app.router.add_post("/{tail:.*}", made.obey)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    made.url_of_all = f"http://{HOST}:{runner.addresses[0][1]}"
    async with httpx2.AsyncClient(trust_env=False) as made.http:
        yield made
    await runner.cleanup()


async def test_a_node_that_leaves_is_drained_first_and_stopped_last(cluster: Cluster) -> None:
    fault = Leaves(("n2",), 0.0, unseats=False)
    await fault.begin(cluster.site())

    assert await fault.confirm(cluster.site()) == {"voters_meanwhile": ["n1"]}

    assert [each.split()[0] for each in cluster.asked] == [
        "/api/v1/nodes/n2/drain",
        "/api/v1/cluster/leave/n2",
    ]
    assert cluster.stopped == ["n2"]


async def test_a_node_that_still_votes_has_not_left(cluster: Cluster) -> None:
    with pytest.raises(NotConfirmed):
        await Leaves(("n2",), 0.0, unseats=False).confirm(cluster.site())


async def test_a_node_that_did_not_leave_after_all_takes_work_again(cluster: Cluster) -> None:
    await Leaves(("n2",), 0.0, unseats=False).end(cluster.site())

    assert cluster.asked == ["/api/v1/nodes/n2/undrain {}"]
    assert cluster.is_back


async def test_a_dead_node_leaves_when_it_is_lost(cluster: Cluster) -> None:
    cluster.shown["up"] = False

    await members.leaves_dead(cluster.site(), "n2")

    assert cluster.asked == ["/api/v1/cluster/leave/n2 {'dead': True}"]


def test_an_emptied_folder_is_still_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "generations" / "1").mkdir(parents=True)
    (data / "CURRENT").write_text("1\n")

    members.empty(data)

    assert data.is_dir()
    assert not list(data.iterdir())
