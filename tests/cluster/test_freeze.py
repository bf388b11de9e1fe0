"""A node is frozen, its work moves, and what it says after waking is refused."""

import pytest

from molecule.cli.waiting import until
from tests.cluster.cluster import MOVED_WITHIN_S, Cluster
from tests.cluster.placing import held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_work_of_a_frozen_follower_moves_and_is_done_once(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("frozen")
    with cluster.recorder.hold(prefix) as hold:
        execution, name = await held_at(cluster, follower, "once", prefix, hold)
        workers = {member.pid for member in cluster.members(follower, "worker")}
        cluster.freeze(follower)
        await cluster.leaves(execution, follower)
    assert (await cluster.ended(execution, within_s=90))["state"] == "COMPLETED"
    cluster.thaw(follower)
    await cluster.start(follower)
    assert not workers & {member.pid for member in cluster.members(follower, "worker")}
    assert cluster.recorder.count(name) == 1


async def test_a_frozen_leader_is_replaced_and_follows_after_waking(cluster: Cluster) -> None:
    leader = await cluster.leader()
    follower = await cluster.follower()
    before = (await cluster.status(at=follower))["epoch"]
    cluster.freeze(leader)
    name = cluster.name("frozen-leader")
    answer = await cluster.submit("nothing", name, at=follower, wait="40s")
    assert answer.json()["state"] == "COMPLETED", answer.text
    after = await cluster.status(at=follower)
    assert after["leader"] != leader
    assert after["epoch"] > before
    cluster.thaw(leader)
    await cluster.start(leader)

    async def follows() -> bool | None:
        # What it shows first may be what it knew before it was frozen.
        return (await cluster.status(at=leader))["epoch"] >= after["epoch"] or None

    await until(follows, what=f"{leader} to follow", within_s=MOVED_WITHIN_S)
