"""Fixtures of the cluster tests: one cluster for each worker of the suite, whole before each test.

A start of three nodes costs some ten seconds of a core, so files share one. Each test names what it
submits by `Cluster.name`, and puts back what it switched, drained or took away.
"""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.cluster import NODES, Cluster
from tests.cluster.patience import until_shown

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all, and one group per file: workers of the suite take file after file."""
    for item in items:
        if _HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.xdist_group(f"cluster-{item.path.stem}"))
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The cluster of this worker."""
    async with Cluster(tmp_path_factory.mktemp("cluster"), with_links=True) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(shared: Cluster) -> Cluster:
    """The same, with every node running and taking work, and every link whole."""
    await shared.start_all()
    await undrain_all(shared)
    return shared


@pytest_asyncio.fixture(loop_scope="session")
async def own_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster for a test that leaves one unusable."""
    async with Cluster(tmp_path) as made:
        yield made


async def undrain_all(cluster: Cluster) -> None:
    """Let every node take work; returns when each of them knows it."""
    draining: list[tuple[str, str]] = []

    async def look() -> bool | None:
        draining.clear()
        for node in NODES:
            nodes = (await cluster.status(at=node))["nodes"]
            draining.extend((node, each["id"]) for each in nodes if each["draining"])
        for node in {node for _, node in draining}:
            await cluster.post(f"/api/v1/nodes/{node}/undrain", {})
        return not draining or None

    await until_shown(look, "no node to be drained", 60, lambda: draining)
