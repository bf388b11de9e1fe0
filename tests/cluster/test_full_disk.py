"""Disks of real nodes fill to the last byte while `once` steps run; what was accepted goes on.

Each voter has a small volume of its own, so a filled disk here is a filled disk.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from molecule.cli.waiting import until
from tests.cluster.cluster import NODES, Cluster
from tests.fakes.volumes import small_volume

pytestmark = pytest.mark.asyncio(loop_scope="session")

MB = 1024 * 1024
SETTINGS = {
    "MOLECULE_HEADROOM__RESERVE_BYTES_MIN": str(24 * MB),
    "MOLECULE_HEADROOM__RESERVE_HELD_FROM_PERCENT": "0",
    "MOLECULE_HEADROOM__MEASURE_EVERY_MS": "100",
}


class OnSmallVolumes(Cluster):
    """Mounts a volume for each data folder before the first start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mounted = ExitStack()
        self._is_mounted = False

    async def start_all(self) -> None:
        if not self._is_mounted:
            self._is_mounted = True
            for place in self.local.place.nodes:
                self.mounted.enter_context(small_volume(place.data, megabytes=160))
        await super().start_all()

    def fill(self, node: str, name: str, *, leave: int = 0) -> Path:
        """Take the room that is left on a voter's volume, but for `leave` bytes."""
        data = next(place.data for place in self.local.place.nodes if place.id == node)
        filler = data / name
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while (free := _free(data) - leave) > 0:
                file.write(b"x" * min(MB, free))
        return filler


def _free(folder: Path) -> int:
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OnSmallVolumes]:
    """Three nodes on volumes of 160 MB."""
    before = dict(os.environ)
    os.environ.update(SETTINGS)
    cluster = OnSmallVolumes(tmp_path_factory.mktemp("small"))
    try:
        async with cluster:
            yield cluster
    finally:
        cluster.mounted.close()
        os.environ.clear()
        os.environ.update(before)


async def _becomes(cluster: Cluster, level: str) -> None:
    """Wait until every node knows this level of the fullest voter."""

    async def look() -> bool | None:
        answers = [await cluster.get("/api/v1/retention", at=node) for node in NODES]
        return all(answer.json().get("level") == level for answer in answers) or None

    await until(look, what=f"the level {level}", within_s=60)


@pytest.mark.parametrize("full", [NODES[:1], NODES], ids=["one voter", "all voters"])
async def test_once_steps_end_on_full_disks_and_nothing_new_enters(
    small: OnSmallVolumes, full: tuple[str, ...]
) -> None:
    await small.start_all()
    name = small.name("full")
    # Most of it before, so that the last bytes go while the request is under way.
    fillers = [small.fill(node, "filler", leave=12 * MB) for node in full]
    with small.recorder.hold(name, after_effect=True) as hold:
        execution = await small.accepted("blind", name)
        await hold.reached()
        fillers += [small.fill(node, "filler of the rest") for node in full]
    await small.all_completed([execution])
    assert small.recorder.count(name) == 1
    await _becomes(small, "no_submissions")
    refused = await small.submit("blind", f"{name}.refused")
    assert refused.status_code == 507, refused.text
    assert refused.json()["limit"] == "submissions_refused_percent"
    purged = await small.post("/api/v1/retention/purge", {"older_than_ms": 0})
    assert purged.is_success, purged.text
    for filler in fillers:
        filler.unlink()
    await _becomes(small, "roomy")
    after = await small.accepted("once", f"{name}.after")
    await small.all_completed([after])
