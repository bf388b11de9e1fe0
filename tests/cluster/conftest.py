"""Fixtures of the cluster tests: one cluster for each worker of the suite, whole before each test.

A start of three nodes costs some ten seconds of a core, so files share one. Each test names what it
submits by `Cluster.name`, and puts back what it switched or took away; drains and pauses end by
themselves.
"""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.cluster import Cluster
from tests.cluster.members import resume_all, undrain_all

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all; `tests/together.py` keeps the tests of a file in one process."""
    for item in items:
        if _HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.cluster)
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
    await resume_all(shared)
    return shared


@pytest_asyncio.fixture(loop_scope="session")
async def own_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster for a test that leaves one unusable."""
    async with Cluster(tmp_path) as made:
        yield made
