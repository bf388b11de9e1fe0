"""Callers of listeners get one answer each, whichever node they called and whichever node dies."""

import asyncio

import pytest

from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_caller_of_any_node_waits_for_the_result(cluster: Cluster) -> None:
    name = cluster.name("in")
    at = await cluster.follower()
    answer = await cluster.post(f"/in/test/listens/{name}", None, at=at, key=name)
    assert answer.status_code == 200, answer.text
    assert answer.json() == [{"name": name}]
    again = await cluster.post(f"/in/test/listens/{name}", None, at=at, key=name)
    assert again.headers["molecule-execution"] == answer.headers["molecule-execution"]
    assert cluster.recorder.counts(name) == {name: 1}


async def test_caller_waits_while_the_leader_is_killed_and_gets_its_one_answer(
    cluster: Cluster,
) -> None:
    name = cluster.name("killed")
    leader, at = await cluster.leader(), await cluster.follower()
    with cluster.recorder.hold(name) as hold:
        calling = asyncio.create_task(
            cluster.post(f"/in/test/listens/{name}", None, at=at, key=name)
        )
        await hold.reached()
        await cluster.kill(leader)
    answer = await calling
    await cluster.start(leader)
    assert (answer.status_code, answer.json()) == (200, [{"name": name}]), answer.text
    assert cluster.recorder.counts(name) == {name: 1}


async def test_answer_is_sent_once_though_the_node_that_said_it_dies(cluster: Cluster) -> None:
    name = cluster.name("said")
    at = await cluster.follower()
    with cluster.recorder.hold(name) as hold:
        answer = await cluster.post(f"/in/test/responds/{name}", None, at=at, key=name)
        assert (answer.status_code, answer.json()) == (202, {"at": name}), answer.text
        assert answer.headers["x-name"] == name
        await hold.reached()
        execution = answer.headers["molecule-execution"]
        holder = str((await cluster.show(execution))["node"])
        await cluster.kill(holder)
    await cluster.start(holder)
    await cluster.all_completed([execution])
    again = await cluster.post(f"/in/test/responds/{name}", None, key=name)
    assert (again.status_code, again.json()) == (202, {"at": name})
    kinds = [row["kind"] for row in await cluster.timeline(execution)]
    assert kinds.count("answered") == 1
    assert cluster.recorder.counts(name) == {name: 1}
