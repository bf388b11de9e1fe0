"""An application over a fake door, called in memory."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from molecule.api.application import build
from molecule.config import Limits
from tests.fakes.door import TOKEN, FakeDoor
from tests.fakes.patience import VirtualTime


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
async def http(
    door: FakeDoor, limits: Limits, time: VirtualTime
) -> AsyncIterator[httpx2.AsyncClient]:
    app = build(door, limits, patience=time.patience())
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport,
        base_url="https://gateway.test",
        headers={"authorization": f"Bearer {TOKEN}"},
    ) as client:
        yield client
