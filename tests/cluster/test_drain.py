"""A node is emptied while it works: all goes on elsewhere, once, and nothing falls in doubt."""

import pytest

from molecule.cli.waiting import until
from tests.cluster.cluster import Cluster
from tests.cluster.placing import several_held_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK = 20


async def drain(cluster: Cluster, node: str, *, timeout_ms: int = 60_000) -> dict[str, object]:
    answer = await cluster.post(f"/api/v1/nodes/{node}/drain", {"timeout_ms": timeout_ms})
    assert answer.is_success, answer.text
    shown: dict[str, object] = answer.json()
    return shown


async def drained(cluster: Cluster, node: str) -> None:
    async def look() -> bool | None:
        answer = await cluster.get(f"/api/v1/nodes/{node}", fresh="true")
        return (answer.is_success and bool(answer.json()["drained"])) or None

    await until(look, what=f"{node} to be drained", within_s=60)


async def heard(cluster: Cluster, node: str) -> None:
    """Wait until the node itself says that it is draining."""

    async def look() -> bool | None:
        return (await cluster.get("/readyz", at=node)).json()["draining"] or None

    await until(look, what=f"{node} to know that it is draining", within_s=60)


async def undrain(cluster: Cluster, node: str) -> None:
    answer = await cluster.post(f"/api/v1/nodes/{node}/undrain", {})
    assert answer.is_success, answer.text
    await cluster.local.ready(cluster.place(node))


async def test_a_drained_node_gives_its_work_back_and_each_effect_happens_once(
    cluster: Cluster,
) -> None:
    node = await cluster.follower()
    name = cluster.name("drain")
    with cluster.recorder.hold(f"{name}.") as hold:
        executions = await several_held_at(cluster, node, "ten", name, hold, count=WORK)
        plan = (await cluster.get(f"/api/v1/nodes/{node}/drain-plan")).json()
        assert not plan["refused"], plan
        assert plan["held"] == sum(plan["moves"].values()) > 0
        await drain(cluster, node)
        # The node hears of it with a heartbeat; let go before, all would end here in peace.
        await heard(cluster, node)
    await drained(cluster, node)
    await cluster.all_completed(executions)
    told = (await cluster.get("/readyz", at=node)).json()
    assert (told["ready"], told["draining"]) == (False, True), told
    assert set(cluster.recorder.counts(name).values()) == {1}
    assert not [each for each in cluster.recorder.questions if each.startswith(name)]
    handed = [
        row["facts"]["reason"]
        for execution in executions
        for row in await cluster.timeline(execution)
        if row["kind"] == "pending"
    ]
    assert "drained" in handed
    await undrain(cluster, node)
    await cluster.conserved()


async def test_what_does_not_stop_in_time_is_stopped_and_goes_on_elsewhere(
    cluster: Cluster,
) -> None:
    node = await cluster.follower()
    name = cluster.name("slow")
    with cluster.recorder.hold(name) as hold:
        execution = await cluster.accepted("reads", name, at=node)
        await hold.reached()
        shown = await cluster.show(execution)
        holder = shown["node"]
        await drain(cluster, holder, timeout_ms=0)
        await cluster.leaves(execution, holder)
    assert (await cluster.ended(execution))["state"] == "COMPLETED"
    await undrain(cluster, holder)


async def test_a_node_that_is_stopped_hands_its_work_back(cluster: Cluster) -> None:
    node = await cluster.follower()
    name = cluster.name("stop")
    names = [f"{name}.{number}" for number in range(WORK)]
    executions = [await cluster.accepted("ten", each, at=node) for each in names]
    await cluster.stop(node)
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}
    reasons = {
        row["facts"]["reason"]
        for execution in executions
        for row in await cluster.timeline(execution)
        if row["kind"] == "pending"
    }
    assert reasons <= {"drained"}
    await cluster.start(node)


async def test_a_drained_node_stays_drained_when_it_starts_again(cluster: Cluster) -> None:
    node = await cluster.follower()
    await drain(cluster, node)
    await cluster.stop(node)
    await cluster.start(node)
    shown = (await cluster.get(f"/api/v1/nodes/{node}", fresh="true")).json()
    assert (shown["up"], shown["drained"]) == (True, True)
    await undrain(cluster, node)


async def test_a_drain_that_leaves_documents_with_too_few_voters_is_refused(
    cluster: Cluster,
) -> None:
    node = await cluster.follower()
    leader = await cluster.leader()
    (third,) = {"n1", "n2", "n3"} - {node, leader}
    name = cluster.name("large")
    await cluster.accepted("nothing", name, text="x" * 50_000)
    await cluster.kill(third)
    answer = await cluster.post(f"/api/v1/nodes/{node}/drain", {}, at=leader)
    assert answer.status_code == 409, answer.text
    assert "less than a majority" in answer.json()["detail"]
    plan = (await cluster.get(f"/api/v1/nodes/{node}/drain-plan", at=leader)).json()
    assert plan["refused"]
    assert plan["documents_endangered"] > 0
