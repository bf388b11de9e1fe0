"""Links between nodes are cut; the majority goes on, and the rest neither accepts nor works."""

import asyncio

import pytest

from molecule.config import Timing
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.placing import held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_of_three_cannot_talk_and_the_cluster_goes_on(cluster: Cluster) -> None:
    leader = await cluster.leader()
    follower, bridge = (node for node in NODES if node != leader)
    cluster.cut(leader, follower)
    passed = cluster.passed(leader, follower)
    name = cluster.name("bridge")
    executions = [
        await cluster.accepted("once", f"{name}.{number}", at=bridge) for number in range(10)
    ]
    # Asked where they were accepted: the node that is cut off may not have heard of them yet.
    await cluster.all_completed(executions, at=bridge)
    assert cluster.passed(leader, follower) == passed, "the link was cut all the time"
    cluster.heal()
    await cluster.start_all()
    assert set(cluster.recorder.counts(name).values()) == {1}
    answer = await cluster.submit("nothing", cluster.name("after"), at=follower, wait="30s")
    assert answer.json()["state"] == "COMPLETED"


async def test_an_isolated_leader_accepts_nothing_and_its_work_moves(cluster: Cluster) -> None:
    leader = await cluster.leader()
    other = next(node for node in NODES if node != leader)
    name = cluster.name("isolated")
    with cluster.recorder.hold(f"{name}.held") as hold:
        execution = await cluster.accepted("once", f"{name}.held", at=leader)
        await hold.reached()
        cluster.isolate(leader)
        asked = asyncio.ensure_future(cluster.submit("once", f"{name}.asked", at=leader))
        assert await cluster.leader(other_than=leader, at=other) != leader
        await cluster.leaves(execution, leader, at=other)
    refused = await asked
    assert refused.status_code in {503, 504}, refused.text
    problem = refused.json()
    assert problem["retryable"] is True
    cluster.heal()
    await cluster.start_all()
    assert (await cluster.ended(execution, within_s=90))["state"] == "COMPLETED"
    again = await cluster.accepted("once", f"{name}.asked", at=other)
    await cluster.all_completed([again])
    assert cluster.recorder.counts(name) == {f"{name}.held": 1, f"{name}.asked": 1}


async def test_an_isolated_follower_stops_its_work_in_time(cluster: Cluster) -> None:
    follower = await cluster.follower()
    other = next(node for node in NODES if node != follower)
    prefix = cluster.name("cut-off")
    with cluster.recorder.hold(prefix) as hold:
        execution, _ = await held_at(cluster, follower, "reads", prefix, hold)
        workers = {member.pid for member in cluster.members(follower, "worker")}
        cluster.isolate(follower)
        await cluster.becomes(
            execution,
            lambda shown: shown["node"] not in {follower, ""},
            what="runs elsewhere",
            at=other,
        )
        assert not workers & {member.pid for member in cluster.members(follower, "worker")}
        # Work moves after a lease in which nothing was heard, so what this node reads is older.
        old = await cluster.get("/api/v1/nodes", at=follower)
        young = await cluster.get("/api/v1/nodes", at=other)
        assert int(old.headers["molecule-age-ms"]) > Timing().lease_ms
        assert int(young.headers["molecule-age-ms"]) < int(old.headers["molecule-age-ms"])
    cluster.heal()
    await cluster.start_all()
    assert (await cluster.ended(execution))["state"] == "COMPLETED"


async def test_the_late_word_of_a_woken_node_is_refused_in_the_timeline(cluster: Cluster) -> None:
    follower = await cluster.follower()
    other = next(node for node in NODES if node != follower)
    held = cluster.name("late-word")
    with cluster.recorder.hold(held, after_effect=True) as hold:
        execution, name = await held_at(cluster, follower, "once", held, hold)
        cluster.isolate(follower)
        # The worker hears the answer now, and its word waits in the node process for a leader.
        hold.released.set()
        await cluster.leaves(execution, follower, at=other)
        cluster.freeze(follower)
        cluster.heal()
        ended = await cluster.ended(execution, within_s=90)
    assert ended["state"] == "COMPLETED"
    cluster.thaw(follower)
    await cluster.start(follower)
    refused = await cluster.refused(execution)
    assert all(facts["reason"] == "stale_token" for facts in refused)
    assert cluster.recorder.count(name) == 1
