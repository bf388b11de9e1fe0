"""Fixtures of the cluster tests: one cluster per file, whole again before each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.cluster import Cluster

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop and one group per file: `./dev test` has two workers, so two run at once."""
    for item in items:
        if _HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.xdist_group(f"cluster-{item.path.stem}"))
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
