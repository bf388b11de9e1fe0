"""All nodes end, or one after the other; nothing that was accepted is forgotten."""

import asyncio

import pytest

from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK = 30


async def test_a_full_restart_forgets_nothing(cluster: Cluster) -> None:
    name = cluster.name("full")
    names = [f"{name}.{number}" for number in range(WORK)]
    with cluster.recorder.hold(name) as hold:
        executions = [await cluster.accepted("once", each) for each in names]
        await hold.reached(WORK)
        async with asyncio.TaskGroup() as group:
            for node in NODES:
                group.create_task(cluster.stop(node))
    await cluster.start_all()
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}
    await cluster.conserved()


async def test_all_nodes_killed_at_once_forget_nothing(cluster: Cluster) -> None:
    name = cluster.name("killed")
    done = await cluster.accepted("once", f"{name}.done")
    await cluster.all_completed([done])
    with cluster.recorder.hold(f"{name}.held") as hold:
        execution = await cluster.accepted("once", f"{name}.held")
        await hold.reached()
        await cluster.kill(*NODES)
    await cluster.start_all()
    await cluster.all_completed([execution])
    assert (await cluster.show(done))["state"] == "COMPLETED"
    assert cluster.recorder.counts(name) == {f"{name}.done": 1, f"{name}.held": 1}
    again = await cluster.submit("once", f"{name}.done")
    assert again.json()["execution"] == done


async def test_a_rolling_restart_under_load_loses_no_call(cluster: Cluster) -> None:
    name = cluster.name("rolling")
    executions: list[str] = []
    over = asyncio.Event()

    async def load() -> None:
        number = 0
        while not over.is_set():
            number += 1
            execution = None
            while execution is None:
                others = [node for node in NODES if node != restarting]
                at = others[number % len(others)]
                execution = await accepted(f"{name}.{number}", at)
            executions.append(execution)

    async def accepted(key: str, at: str) -> str | None:
        """None when the node stopped with the call in its hands: to be asked again by its key."""
        answer = await cluster.submit("once", key, at=at)
        told = answer.json()
        if not answer.is_success:
            assert not told["definite"], told
            return None
        return str(told["execution"])

    restarting = ""
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(load())
        for node in NODES:
            restarting = node
            await cluster.stop(node)
            await cluster.start(node)
        over.set()
        await loading
    await cluster.all_completed(executions)
    assert len(executions) >= len(NODES)
    assert set(cluster.recorder.counts(name).values()) == {1}
    await cluster.conserved()
