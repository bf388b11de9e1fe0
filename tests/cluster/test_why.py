"""Nobody has to guess: the same answers at every node and after a restart of all."""

import asyncio
from typing import Any

import pytest

from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORK = 6


async def decided(cluster: Cluster, execution: str, node: str) -> list[dict[str, Any]]:
    """The answers of one node that rest on decisions."""
    path = f"/api/v1/executions/{execution}/why"
    answer = await cluster.get(path, at=node, fresh="true")
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["answers"] if each["decided"]]


async def postmortems(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    answer = await cluster.get("/api/v1/cluster/postmortems", at=node, fresh="true")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_why_and_post_mortem_are_the_same_everywhere_and_after_a_restart(
    cluster: Cluster,
) -> None:
    leader = await cluster.leader()
    name = cluster.name("why")
    with cluster.recorder.hold(name) as hold:
        executions = [
            await cluster.accepted("once", f"{name}.{number}", at=leader) for number in range(WORK)
        ]
        await hold.reached(WORK)
        before = [await cluster.show(execution) for execution in executions]
        there = [one["id"] for one in before if one["node"] == leader]
        assert there
        await cluster.kill(leader)
        await cluster.leader(other_than=leader)
    await cluster.all_completed(executions)
    await cluster.start_all()

    execution = there[0]
    told = await decided(cluster, execution, leader)
    (moved,) = [each for each in told if each["question"] == "moved"]
    assert moved["facts"]["node"] == leader
    assert moved["index"] > 0
    loss = next(
        one
        for one in await postmortems(cluster, leader)
        if one["id"] == moved["facts"]["postmortem"]
    )
    assert loss["node"] == leader
    assert loss["index"] == moved["index"]
    assert {one["execution"] for one in loss["executions"]} == set(there)
    assert loss["moved"] == len(there)
    assert loss["led"]
    assert loss["without_leader_ms"] > 0
    everywhere = {node: await decided(cluster, execution, node) for node in NODES}
    assert all(answers == told for answers in everywhere.values())

    async with asyncio.TaskGroup() as group:
        for node in NODES:
            group.create_task(cluster.stop(node))
    await cluster.start_all()
    for node in NODES:
        assert await decided(cluster, execution, node) == told
        again = [one for one in await postmortems(cluster, node) if one["id"] == loss["id"]]
        assert again == [loss]
