"""Volatile executions: one answer for each caller, whatever dies, nothing of them in the log."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from molecule.cli.waiting import until
from tests.cluster import processes
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.members import undrain_all
from tests.cluster.recorder import Hold

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LOST = ("crash", "deadline_exceeded")

MANY = 200
TRIES = 3


async def look(cluster: Cluster, name: str, at: str) -> dict[str, Any]:
    """Ask `looks` for one document and wait for the answer."""
    answer = await cluster.submit("looks", name, at=at, wait="60s")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def caller(cluster: Cluster, hold: Hold) -> tuple[str, int]:
    """The node and the worker whose call came last."""
    port = hold.ports[-1]
    workers = [(node, each.pid) for node in NODES for each in cluster.members(node, "worker")]
    ((node, pid),) = [(node, pid) for node, pid in workers if port in _ports(pid)]
    return node, pid


def kill_caller(cluster: Cluster, hold: Hold) -> None:
    """`kill -9` of the worker whose call came last.

    With all workers dead at once a try may be given to one whose death its node has not seen yet:
    that one would be lost too, and never stand at the target.
    """
    os.kill(caller(cluster, hold)[1], signal.SIGKILL)


def _ports(pid: int) -> set[int]:
    return {each.laddr.port for each in psutil.Process(pid).net_connections("inet") if each.laddr}


async def test_they_are_answered_by_every_node_and_the_law_does_not_count_them(
    cluster: Cluster,
) -> None:
    before = (await cluster.status())["conservation"]
    for node in NODES:
        name = cluster.name("seen")
        answer = await cluster.submit("looks", name, at=node, wait="30s")
        told = answer.json()
        assert (answer.status_code, told["state"]) == (200, "COMPLETED"), answer.text
        assert told["durability"] == "volatile"
        assert "location" not in answer.headers
        assert told["documents"][0]["value"] == {"name": name}
    assert (await cluster.status())["conservation"] == before
    await cluster.conserved()


async def test_the_log_does_not_grow_with_them(cluster: Cluster) -> None:
    follower = await cluster.follower()
    await cluster.submit("quick", cluster.name("first"), at=follower, wait="30s")
    begun, began_s = (await cluster.status())["index"], asyncio.get_running_loop().time()
    for _ in range(MANY):
        answer = await cluster.submit("quick", cluster.name("quick"), at=follower, wait="30s")
        assert answer.json()["state"] == "COMPLETED", answer.text
    took_s = asyncio.get_running_loop().time() - began_s
    grown = (await cluster.status())["index"] - begun
    # Records of the sample: one entry a second and node at most, whatever is asked of them.
    assert grown <= min(MANY // 4, len(NODES) * (took_s + 2)), f"{grown} entries in {took_s} s"


async def test_one_of_the_sample_is_in_the_history_of_every_node_and_outlives_its_own(
    cluster: Cluster,
) -> None:
    node = await cluster.follower()
    # What failed is always of the sample.
    name = cluster.name("late")
    with cluster.recorder.hold(name):
        answer = await cluster.submit("looks", name, at=node, wait="500ms")
    told = answer.json()
    assert answer.is_success, told
    assert (told["state"], told["error"]["code"]) == ("FAILED", "deadline_exceeded"), told
    execution = str(told["execution"])
    other = next(each for each in NODES if each != node)

    async def recorded() -> dict[str, object] | None:
        found = await cluster.get(f"/api/v1/executions/{execution}", at=other)
        return dict(found.json()) if found.is_success else None

    shown = await until(recorded, what=f"the record of {execution}", within_s=60)
    assert (shown["durability"], shown["state"]) == ("volatile", "FAILED")
    await cluster.kill(node)
    assert (await cluster.show(execution, at=other)) == shown
    kinds = [row["kind"] for row in await cluster.timeline(execution, at=other)]
    assert kinds[-1] == "ended"
    await cluster.start(node)
    assert (await cluster.show(execution, at=node)) == shown


async def test_a_worker_dies_in_the_middle_and_the_caller_gets_its_one_answer(
    cluster: Cluster,
) -> None:
    node, name = await cluster.follower(), cluster.name("worker")
    with cluster.recorder.hold(name) as hold:
        asked = asyncio.create_task(look(cluster, name, node))
        await hold.reached()
        kill_caller(cluster, hold)
        await until(_seen(hold.waiting, 2), what="the second try", within_s=60)
    told = await asked
    assert told["state"] == "COMPLETED"
    assert [document["value"] for document in told["documents"]] == [{"name": name}]


async def test_the_node_that_runs_it_dies_and_the_caller_gets_its_one_answer(
    cluster: Cluster,
) -> None:
    node, name = await cluster.follower(), cluster.name("node")
    answer = await cluster.post(f"/api/v1/nodes/{node}/drain", {"timeout_ms": 60_000})
    assert answer.is_success, answer.text

    async def drains() -> bool | None:
        return (await cluster.get("/readyz", at=node)).json()["draining"] or None

    await until(drains, what=f"{node} to know that it is draining", within_s=60)
    try:
        with cluster.recorder.hold(name) as hold:
            asked = asyncio.create_task(look(cluster, name, node))
            await hold.reached()
            ran, _ = caller(cluster, hold)
            assert ran != node
            await cluster.kill(ran)
            await until(_seen(hold.waiting, 2), what="the second try", within_s=60)
        assert (await asked)["state"] == "COMPLETED"
    finally:
        await cluster.start_all()
        await undrain_all(cluster)


async def test_what_kills_every_worker_is_given_up_after_a_few(cluster: Cluster) -> None:
    node, name = await cluster.follower(), cluster.name("poison")
    with cluster.recorder.hold(name) as hold:
        asked = asyncio.create_task(look(cluster, name, node))
        for tries in range(1, TRIES + 1):
            await until(_seen(hold.waiting, tries), what=f"try {tries}", within_s=60)
            kill_caller(cluster, hold)
        told = await asked
    assert (told["state"], told["error"]["code"]) == ("FAILED", "crash"), told
    assert len(hold.waiting) == TRIES


async def test_the_caller_of_a_listener_is_answered_before_the_end_and_never_twice(
    cluster: Cluster,
) -> None:
    node, name = await cluster.follower(), cluster.name("asked")
    with cluster.recorder.hold(name) as hold:
        answer = await cluster.post(f"/in/test/asked/{name}", None, at=node, key=name)
        assert (answer.status_code, answer.json()) == (202, {"at": name}), answer.text
        await hold.reached()
        kill_caller(cluster, hold)
        execution = answer.headers["molecule-execution"]

        async def recorded() -> dict[str, object] | None:
            found = await cluster.get(f"/api/v1/executions/{execution}")
            return dict(found.json()) if found.is_success else None

        shown = await until(recorded, what=f"the record of {execution}", within_s=60)
    # It was told already, so it is not tried again.
    assert (shown["state"], shown["error_code"], shown["attempts"]) == ("FAILED", "lost", 1)
    assert len(hold.waiting) == 1


async def test_a_node_that_is_cut_off_runs_none_after_its_lease(cluster: Cluster) -> None:
    node = await cluster.follower()
    other = next(each for each in NODES if each != node)
    cluster.isolate(node)

    async def refused() -> bool | None:
        answer = await cluster.submit("quick", cluster.name("cut"), at=node, wait="1s")
        told = answer.json()
        if answer.status_code == 200:
            # The last one may lose its worker with the lease, and nobody else can be asked.
            lost = told["state"] == "FAILED" and told["error"]["code"] in _LOST
            assert told["state"] == "COMPLETED" or lost, told["error"]
            return None
        assert (answer.status_code, told["code"]) == (503, "no_leader"), answer.text
        assert answer.headers["retry-after"]
        return True

    await until(refused, what=f"{node} to refuse", within_s=60)
    answer = await cluster.submit("quick", cluster.name("majority"), at=other, wait="30s")
    assert answer.json()["state"] == "COMPLETED", answer.text
    cluster.heal()
    await cluster.start_all()
    answer = await cluster.submit("quick", cluster.name("healed"), at=node, wait="30s")
    assert answer.json()["state"] == "COMPLETED", answer.text


async def test_nobody_waits_is_refused_and_so_is_a_process_that_writes(cluster: Cluster) -> None:
    answer = await cluster.submit("quick", cluster.name("alone"))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), answer.text
    assert "wait" in answer.json()["detail"]
    files = processes.repository(target=cluster.recorder.url, inbox=cluster.inbox)
    files["processes/once.yaml"] = files["processes/once.yaml"].replace(
        "steps:", "options: {durability: volatile}\nsteps:", 1
    )
    answer = await cluster.post("/api/v1/apply", {"files": files}, environment="test")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_process"), answer.text
    assert "step tell (http.request): has the effect once" in answer.text


def _seen(waiting: list[str], count: int) -> Callable[[], Awaitable[bool | None]]:
    async def enough() -> bool | None:
        return True if len(waiting) >= count else None

    return enough
