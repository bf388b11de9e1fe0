"""What waits holds no slot and outlives every node: timers, signals, time-outs."""

import asyncio
import time

import pytest

from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOON_S = 25
"""Long enough for all nodes to be killed and started again before the wait is over."""


def after(seconds: float) -> int:
    """An instant in milliseconds."""
    return int((time.time() + seconds) * 1_000)


async def told(cluster: Cluster, execution: str, value: object, *, key: str) -> dict[str, object]:
    answer = await cluster.post(f"/api/v1/executions/{execution}/signals/approved", value, key=key)
    assert answer.is_success, answer.text
    told: dict[str, object] = answer.json()
    return told


async def test_a_timer_survives_the_death_of_all_nodes_and_nothing_is_repeated(
    cluster: Cluster,
) -> None:
    name = cluster.name("timer")
    due_ms = after(SOON_S)
    execution = await cluster.accepted("waits", name, due=due_ms)
    shown = await cluster.becomes(
        execution, lambda shown: shown["state"] == "WAITING", what="is WAITING"
    )
    assert (shown["reason"], shown["wait_until_ms"]) == ("timer", due_ms)
    for node in (await cluster.get("/api/v1/nodes")).json()["items"]:
        assert node["held"] == 0
    await cluster.kill(*NODES)
    await cluster.start_all()
    assert (await cluster.ended(execution))["state"] == "COMPLETED"
    ended = await cluster.show(execution)
    assert cluster.recorder.counts(name) == {f"{name}-before": 1, f"{name}-behind": 1}
    rows = await cluster.timeline(execution)
    released = next(row for row in rows if row["facts"].get("reason") == "wait_over")
    assert due_ms <= released["at_ms"] <= ended["changed_at_ms"]
    await cluster.conserved()


async def test_a_signal_that_came_early_survives_the_death_of_all_nodes(cluster: Cluster) -> None:
    name = cluster.name("early")
    with cluster.recorder.hold(f"{name}-before") as hold:
        execution = await cluster.accepted("awaits", name)
        await hold.reached()
        await told(cluster, execution, {"by": "ann"}, key=f"{name}.k")
        await cluster.kill(*NODES)
    await cluster.start_all()
    assert (await cluster.ended(execution))["state"] == "COMPLETED"
    assert cluster.recorder.counts(name) == {f"{name}-before": 1, f"{name}-behind": 1}
    again = await told(cluster, execution, {"by": "ann"}, key=f"{name}.k")
    assert again["repeated_key"] is True


async def test_a_signal_ends_a_wait_that_was_there_before_all_nodes_died(cluster: Cluster) -> None:
    name = cluster.name("signal")
    execution = await cluster.accepted("awaits", name)
    await cluster.becomes(execution, lambda shown: shown["state"] == "WAITING", what="is WAITING")
    await cluster.kill(*NODES)
    await cluster.start_all()
    shown = await cluster.show(execution)
    assert (shown["state"], shown["reason"]) == ("WAITING", "signal")
    callback = shown["awaited"][0]["callback"]
    answer = await cluster.post(callback, {"by": "bob"}, key=f"{name}.k")
    assert answer.is_success, answer.text
    assert (await cluster.ended(execution))["state"] == "COMPLETED"
    assert cluster.recorder.counts(name) == {f"{name}-before": 1, f"{name}-behind": 1}
    refused = await cluster.post(callback, {"by": "eve"}, key=f"{name}.other")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_the_leaders_death_ends_no_wait_and_loses_no_signal(cluster: Cluster) -> None:
    name = cluster.name("leader")
    executions = [await cluster.accepted("awaits", f"{name}.{n}") for n in range(5)]
    for execution in executions:
        await cluster.becomes(
            execution, lambda shown: shown["state"] == "WAITING", what="is WAITING"
        )
    leader = await cluster.leader()
    await cluster.kill(leader)
    other = next(node for node in NODES if node != leader)
    await cluster.leader(other_than=leader, at=other)
    async with asyncio.TaskGroup() as group:
        for number, execution in enumerate(executions):
            group.create_task(told(cluster, execution, number, key=f"{name}.{number}"))
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}


async def test_a_time_out_counts_while_it_waits_and_all_nodes_are_dead(cluster: Cluster) -> None:
    execution = await cluster.accepted("late", cluster.name("late"))
    await cluster.becomes(execution, lambda shown: shown["state"] == "WAITING", what="is WAITING")
    await cluster.kill(*NODES)
    await cluster.start_all()
    ended = await cluster.ended(execution, within_s=120)
    assert (ended["state"], ended["error_code"]) == ("FAILED", "timeout")
    assert ended["changed_at_ms"] >= ended["deadline_at_ms"]
