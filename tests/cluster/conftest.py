"""Fixtures of the cluster tests: one cluster per file, whole again before each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.cluster import Cluster

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop per file; the files in two groups, because more clusters at once are heavy."""
    ours = [item for item in items if _HERE in item.path.parents]
    files = sorted({item.path.name for item in ours})
    for item in ours:
        group = files.index(item.path.name) % 2
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.xdist_group(f"cluster-{group}"))
        item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The cluster of this file."""
    async with Cluster(tmp_path_factory.mktemp("cluster"), with_links=True) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(shared: Cluster) -> Cluster:
    """The same, with every node running and every link whole."""
    await shared.start_all()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def own_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster for a test that leaves one unusable."""
    async with Cluster(tmp_path) as made:
        yield made
