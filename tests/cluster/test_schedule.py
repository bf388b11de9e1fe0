"""A schedule: every nominal time fires once, whoever leads and whoever dies."""

import itertools
from datetime import datetime

import pytest

from molecule.cli.waiting import until
from tests.cluster import processes
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def switch(cluster: Cluster, *, is_on: bool) -> None:
    files = processes.ticking(target=cluster.recorder.url, is_on=is_on)
    await cluster.deployed(files, "ticking")


async def ticked(cluster: Cluster, count: int) -> None:
    """Wait until so many different times have fired."""

    async def look() -> bool | None:
        return True if len(cluster.recorder.counts("tick.")) >= count else None

    await until(look, what=f"{count} ticks at the target", within_s=120)


async def runs_the_trigger(cluster: Cluster) -> str:
    async def look() -> str | None:
        listed = await cluster.get("/api/v1/processes", environment="ticking")
        found = listed.json()["items"]
        return next(each["trigger_node"] for each in found if each["process"] == "ticks") or None

    return await until(look, what="a node that runs the schedule", within_s=60)


async def test_no_time_is_left_out_or_fires_twice(cluster: Cluster) -> None:
    await switch(cluster, is_on=True)
    try:
        await ticked(cluster, 3)
        await cluster.kill(await cluster.leader())
        await ticked(cluster, 8)
        await cluster.start_all()
        await cluster.kill(await runs_the_trigger(cluster))
        await ticked(cluster, 12)
        await cluster.start_all()
        # A new version of the same calendar goes on where the one before was.
        await switch(cluster, is_on=True)
        await ticked(cluster, len(cluster.recorder.counts("tick.")) + 3)
    finally:
        await cluster.start_all()
        await switch(cluster, is_on=False)
    await cluster.quiet("ticks")
    told = cluster.recorder.counts("tick.")
    assert set(told.values()) == {1}
    seconds = sorted(
        datetime.strptime(name, "tick.%Y-%m-%dT%H-%M-%SZ").timestamp()  # noqa: DTZ007 - all alike
        for name in told
    )
    gaps = [later - earlier for earlier, later in itertools.pairwise(seconds)]
    assert set(gaps) == {1.0}, "every second of the whole time"
    await cluster.conserved()
