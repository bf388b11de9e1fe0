"""Nobody has to guess: the same answers at every node and after a restart of all."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from molecule.cli.waiting import until
from tests.cluster import processes
from tests.cluster.cluster import MOVED_WITHIN_S, NODES, Cluster
from tests.cluster.placing import several_held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

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


async def restart_all(cluster: Cluster) -> None:
    async with asyncio.TaskGroup() as group:
        for node in NODES:
            group.create_task(cluster.stop(node))
    await cluster.start_all()


async def test_why_and_post_mortem_are_the_same_everywhere_and_after_a_restart(
    cluster: Cluster,
) -> None:
    leader = await cluster.leader()
    name = cluster.name("why")
    with cluster.recorder.hold(name) as hold:
        executions = await several_held_at(cluster, leader, "once", name, hold, count=WORK)
        before = [await cluster.show(execution) for execution in executions]
        there = [one["id"] for one in before if one["node"] == leader]
        assert there
        await cluster.kill(leader)
        await cluster.leader(other_than=leader)
    await cluster.all_completed(executions)
    await cluster.start_all()

    execution = there[0]
    told = await decided(cluster, execution, leader)
    moves = [each for each in told if each["question"] == "moved"]
    assert len(moves) == 1, (before, told, await cluster.timeline(execution, at=leader))
    (moved,) = moves
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

    await restart_all(cluster)
    for node in NODES:
        assert await decided(cluster, execution, node) == told
        again = [one for one in await postmortems(cluster, node) if one["id"] == loss["id"]]
        assert again == [loss]


async def guarded(cluster: Cluster, name: str) -> str:
    """An execution that waits before a breaker which stays open for long."""
    await cluster.fragile.go_away()
    files = processes.guarded(target=cluster.fragile.url)
    await cluster.deployed(files, "guarded")
    body = {"process": "guarded", "environment": "guarded", "input": {"name": name}}
    answer = await cluster.post("/api/v1/executions", body, key=name)
    assert answer.is_success, answer.text
    execution = str(answer.json()["execution"])
    await cluster.becomes(
        execution,
        lambda shown: shown["state"] == "WAITING" and shown["reason"] == "breaker",
        what="waits before the breaker",
    )
    return execution


async def held_up(cluster: Cluster) -> dict[str, str]:
    """One execution each that a breaker, a pause, its key, a signal and a doubt hold up."""
    name = cluster.name("held")
    found = {"breaker": await guarded(cluster, f"{name}.guarded")}
    answer = await cluster.post(
        "/api/v1/processes/nothing/pause", {"environment": "test", "reason": "a look"}
    )
    assert answer.is_success, answer.text
    found["paused"] = await cluster.accepted("nothing", f"{name}.paused")
    found["signal"] = await cluster.accepted("awaits", f"{name}.signal")
    await cluster.becomes(
        found["signal"], lambda shown: shown["state"] == "WAITING", what="waits for a signal"
    )
    with cluster.recorder.hold(f"{name}.doubt"):
        found["doubt"] = await cluster.accepted("blind", f"{name}.doubt")
        await cluster.becomes(
            found["doubt"], lambda shown: shown["state"] == "IN_DOUBT", what="falls in doubt"
        )
    return found


async def all_decided(
    cluster: Cluster, executions: Mapping[str, str], node: str
) -> dict[str, list[dict[str, Any]]]:
    return {what: await decided(cluster, execution, node) for what, execution in executions.items()}


async def test_what_holds_executions_up_is_told_with_its_decision_and_the_same_after_a_restart(
    cluster: Cluster,
) -> None:
    executions = await held_up(cluster)
    told = await all_decided(cluster, executions, NODES[0])
    index_of = {
        each["facts"].get("reason"): each["index"] for answers in told.values() for each in answers
    }
    breaker = [each for each in told["breaker"] if each["question"] == "waiting"]
    assert [each["facts"]["reason"] for each in breaker] == ["breaker", "breaker"]
    assert breaker[1]["index"] <= breaker[0]["index"]
    assert "its breaker opened" in breaker[1]["text"]
    (paused,) = [each for each in told["paused"] if each["question"] == "pending"]
    assert paused["index"] == index_of["paused"]
    assert paused["text"].endswith(": a look")
    (signal,) = [each for each in told["signal"] if each["question"] == "waiting"]
    assert "approved" in signal["text"]
    doubt = [each for each in told["doubt"] if each["question"] == "parked"]
    assert len(doubt) == len({each["index"] for each in doubt}) == 2
    assert all(each["index"] > 0 for answers in told.values() for each in answers)
    for node in NODES[1:]:
        assert await all_decided(cluster, executions, node) == told

    await restart_all(cluster)
    for node in NODES:
        assert await all_decided(cluster, executions, node) == told
    await cluster.fragile.come_back()


async def test_a_voter_without_a_majority_says_so(cluster: Cluster) -> None:
    execution = await cluster.accepted("awaits", cluster.name("alone"))
    await cluster.becomes(execution, lambda shown: shown["state"] == "WAITING", what="waits")
    left = await cluster.follower()
    await cluster.kill(*(node for node in NODES if node != left))

    async def look() -> str | None:
        answer = await cluster.get(f"/api/v1/executions/{execution}/why", at=left)
        asked = [each for each in answer.json()["answers"] if each["question"] == "no_leader"]
        return str(asked[0]["text"]) if asked else None

    said = await until(look, what="the answer of one left alone", within_s=MOVED_WITHIN_S)
    old = await cluster.get(f"/api/v1/executions/{execution}", at=left)
    assert int(old.headers["molecule-age-ms"]) > 0
    assert "without a majority nothing is accepted" in said
