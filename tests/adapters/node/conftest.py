"""One node with its data in the test's own folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.node.doors import Doors
from tests.adapters.node.one_node import OneNode, one_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[OneNode]:
    async with one_node(tmp_path) as made:
        yield made


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with one_node(tmp_path) as node:
        yield Doors(node)
