"""A process or a whole node dies; what was accepted finishes elsewhere, and once only."""

import asyncio

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.placing import held_at, several_held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK = 20


async def test_the_leader_dies_and_its_work_goes_on_elsewhere(cluster: Cluster) -> None:
    leader = await cluster.leader()
    name = cluster.name("leader")
    with cluster.recorder.hold(name) as hold:
        executions = await several_held_at(cluster, leader, "once", name, hold, count=WORK)
        await cluster.kill(leader)
        assert await cluster.leader(other_than=leader) != leader
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}
    await cluster.conserved()


async def test_a_submission_during_an_election_waits_and_is_accepted(cluster: Cluster) -> None:
    leader = await cluster.leader()
    follower = await cluster.follower()
    await cluster.kill(leader)
    answer = await cluster.submit("nothing", cluster.name("election"), at=follower, wait="30s")
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "COMPLETED"


async def test_a_follower_dies_and_its_work_goes_on_elsewhere(cluster: Cluster) -> None:
    follower = await cluster.follower()
    name = cluster.name("follower")
    with cluster.recorder.hold(name) as hold:
        executions = await several_held_at(cluster, follower, "once", name, hold, count=WORK)
        await cluster.kill(follower)
        for execution in executions:
            await cluster.leaves(execution, follower)
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}


async def test_an_answer_lost_after_the_effect_is_settled_by_asking(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("lost-answer")
    with cluster.recorder.hold(prefix, after_effect=True) as hold:
        execution, name = await held_at(cluster, follower, "once", prefix, hold)
        await cluster.kill(follower)
        ended = await cluster.ended(execution, within_s=90)
    assert ended["state"] == "COMPLETED"
    assert cluster.recorder.count(name) == 1
    assert cluster.recorder.questions[name] >= 1


async def test_a_worker_dies_and_its_executions_are_tried_again(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("worker")
    with cluster.recorder.hold(prefix) as hold:
        execution, _ = await held_at(cluster, follower, "reads", prefix, hold)
        pid = await cluster.kill_role(follower, "worker")
        await cluster.becomes(
            execution, lambda shown: shown["attempts"] == 2, what="is assigned a second time"
        )
    ended = await cluster.ended(execution)
    assert ended["state"] == "COMPLETED"
    # It ran alone in a worker of its own, which is gone; the next one brings a worker for all.
    again = await cluster.submit("nothing", cluster.name("next"), at=follower, wait="60s")
    assert again.json()["state"] == "COMPLETED", again.text
    assert (await cluster.member(follower, "worker", other_than=pid)).pid != pid


async def test_the_node_process_dies_alone_and_its_end_is_reported(cluster: Cluster) -> None:
    follower = await cluster.follower()
    prefix = cluster.name("node")
    with cluster.recorder.hold(prefix) as hold:
        execution, _ = await held_at(cluster, follower, "reads", prefix, hold)
        workers = {member.pid for member in cluster.members(follower, "worker")}
        await cluster.kill_role(follower, "node")
        await cluster.becomes(
            execution, lambda shown: shown["attempts"] == 2, what="is assigned a second time"
        )
    assert (await cluster.ended(execution))["state"] == "COMPLETED"
    reasons = [
        row["facts"].get("reason", "")
        for row in await cluster.timeline(execution)
        if row["kind"] == "pending"
    ]
    assert reasons
    assert not any("lease" in reason for reason in reasons), "its death was known, not suspected"
    assert not workers & {member.pid for member in cluster.members(follower, "worker")}


async def test_a_caller_waits_while_the_node_process_starts_again(cluster: Cluster) -> None:
    follower = await cluster.follower()
    name = cluster.name("waiting")
    with cluster.recorder.hold(name) as hold:
        waiting = asyncio.ensure_future(cluster.submit("once", name, at=follower, wait="60s"))
        await hold.reached()
        await cluster.kill_role(follower, "node")
    answer = await waiting
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "COMPLETED"
    assert cluster.recorder.count(name) == 1


async def test_the_gateway_dies_and_the_same_key_gives_the_first_answer(cluster: Cluster) -> None:
    follower = await cluster.follower()
    name = cluster.name("gateway")
    with cluster.recorder.hold(name) as hold:
        execution = await cluster.accepted("once", name, at=follower)
        await hold.reached()
        pid = await cluster.kill_role(follower, "gateway")
    await cluster.member(follower, "gateway", other_than=pid)
    await cluster.start(follower)
    again = await cluster.submit("once", name, at=follower, wait="60s")
    assert again.json()["execution"] == execution
    assert again.json()["repeated_key"] is True
    assert cluster.recorder.count(name) == 1
