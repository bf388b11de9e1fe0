"""Work that kills its workers, with real workers: who is charged, who not, what people can do."""

import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from molecule.cli.waiting import until
from tests.cluster import troubles
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HEAD = "molecule: 1\nprocess: {name}\nowner: tests@example.com\ntrigger: {{type: manual}}\n"
_FILES = {
    "processes/trouble.yaml": _HEAD.format(name="trouble")
    + "steps: [{id: work, type: test.trouble}]\n",
    "processes/careful.yaml": _HEAD.format(name="careful")
    + "options: {isolation: process, crash_budget: 1}\nsteps: [{id: work, type: test.trouble}]\n",
    "environments/poison.yaml": json.dumps({"environment": "poison"}),
}
_MEMORY_MAX = 250 * 1024 * 1024
INNOCENT = 100


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troubled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A cluster whose workers have the step that makes trouble, and little memory."""
    folder = tmp_path_factory.mktemp("poison")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", troubles.install(folder / "extension"))
        patch.setenv("MOLECULE_LIMITS__WORKER_MEMORY_BYTES_MAX", str(_MEMORY_MAX))
        patch.setenv("MOLECULE_LIMITS__OWN_WORKER_MEMORY_BYTES_MAX", str(_MEMORY_MAX))
        async with Cluster(folder) as cluster:
            await cluster.deployed(_FILES, "poison")
            yield cluster


async def said(cluster: Cluster, process: str, name: str, **fields: Any) -> str:
    return await cluster.accepted(process, cluster.name(name), **fields)


async def test_one_poison_execution_among_a_hundred_innocent_ones(troubled: Cluster) -> None:
    cluster = troubled
    name = cluster.name("innocent")
    poison = await said(cluster, "trouble", "poison", do="die")
    innocent = await cluster.accepted_many(
        "trouble", [f"{name}.{number}" for number in range(INNOCENT)]
    )
    ended = await cluster.ended(poison, within_s=120)
    assert (ended["state"], ended["crashes"]) == ("QUARANTINED", 3)
    assert (ended["last_death"]["step"], ended["last_death"]["alone"]) == ("work", True)
    assert "SIGSEGV" in ended["last_death"]["evidence"]
    assert ended["input_size_bytes"] > 0
    await cluster.all_completed(innocent, within_s=120)
    await cluster.conserved()


async def test_quarantined_is_released_and_tried_again_and_given_up_by_people(
    troubled: Cluster,
) -> None:
    cluster = troubled
    poison = await said(cluster, "careful", "poison", do="die")
    assert (await cluster.ended(poison))["state"] == "QUARANTINED"
    released = await cluster.post(f"/api/v1/executions/{poison}/release", {"reason": "again"})
    assert released.is_success, released.text
    await cluster.becomes(poison, lambda shown: shown["attempts"] == 2, what="runs a second time")
    assert (await cluster.ended(poison))["state"] == "QUARANTINED"
    early = await cluster.post(f"/api/v1/executions/{poison}/retry", {})
    assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
    failed = await cluster.post(f"/api/v1/executions/{poison}/fail", {})
    assert failed.json()["state"] == "FAILED"
    again = await cluster.post(f"/api/v1/executions/{poison}/retry", {})
    assert again.status_code == 202, again.text
    other = await cluster.show(again.json()["execution"])
    assert other["origin"] == poison
    await cluster.ended(other["id"])
    assert (await cluster.show(poison))["state"] == "FAILED"


@pytest.mark.parametrize("process", ["trouble", "careful"])
async def test_a_worker_that_eats_memory_is_killed_and_the_cause_is_told(
    troubled: Cluster, process: str
) -> None:
    cluster = troubled
    glutton = await said(cluster, process, "glutton", do="eat")
    ended = await cluster.ended(glutton, within_s=120)
    assert ended["state"] == "QUARANTINED", ended
    assert ended["last_death"]["cause"] == "memory", ended
    assert ended["last_death"]["memory_bytes"] > 100 * 1024 * 1024


async def test_a_worker_of_its_own_ends_with_its_execution(troubled: Cluster) -> None:
    cluster = troubled
    execution = await said(cluster, "careful", "quiet")
    ended = await cluster.ended(execution)
    assert ended["state"] == "COMPLETED"
    await shared_only(cluster, ended["node"])


async def test_cancel_ends_a_worker_of_its_own_whatever_it_is_busy_with(
    troubled: Cluster,
) -> None:
    cluster = troubled
    execution = await said(cluster, "careful", "busy", do="sleep", seconds=8)
    held = await cluster.becomes(
        execution, lambda shown: shown["state"] == "ASSIGNED", what="is assigned"
    )

    async def has_its_own() -> bool | None:
        return len(cluster.members(held["node"], "worker")) > 1 or None

    await until(has_its_own, what="a worker of its own", within_s=30)
    answer = await cluster.post(f"/api/v1/executions/{execution}/cancel", {})
    assert answer.json()["state"] == "CANCELLED"
    await shared_only(cluster, held["node"])
    again = await cluster.show(execution)
    assert (again["state"], again["crashes"]) == ("CANCELLED", 0)


async def test_a_worker_that_is_told_to_stop_charges_nobody(troubled: Cluster) -> None:
    cluster = troubled
    name = cluster.name("stopped")
    with cluster.recorder.hold(name) as hold:
        execution = await cluster.accepted("reads", name)
        await hold.reached()
        node = (await cluster.show(execution))["node"]
        os.kill((await cluster.member(node, "worker")).pid, signal.SIGTERM)
        await cluster.becomes(
            execution, lambda shown: shown["attempts"] == 2, what="is assigned a second time"
        )
    ended = await cluster.ended(execution)
    assert (ended["state"], ended["crashes"], ended["runs_alone"]) == ("COMPLETED", 0, False)


async def test_ten_lost_nodes_under_one_long_execution_charge_nobody(troubled: Cluster) -> None:
    cluster = troubled
    name = cluster.name("long")
    with cluster.recorder.hold(name) as hold:
        execution = await cluster.accepted("reads", name)
        await hold.reached()
        for attempt in range(1, 11):
            held = await runs(cluster, execution, attempt)
            await cluster.kill_role(held["node"], "node")
        await cluster.becomes(
            execution, lambda shown: shown["attempts"] >= 11, what="runs for the 11th time"
        )
        # Ten deaths moved it ten times: nobody was given up who was not killed.
        rows = await cluster.timeline(execution)
        assert len([row for row in rows if row["kind"] == "assigned"]) == 11, rows
    ended = await cluster.ended(execution, within_s=90)
    assert (ended["state"], ended["crashes"], ended["runs_alone"]) == ("COMPLETED", 0, False)


async def runs(cluster: Cluster, execution: str, attempt: int) -> dict[str, Any]:
    """Wait until an execution is assigned for so many times."""
    return await cluster.becomes(
        execution,
        lambda shown: bool(shown["attempts"] == attempt and shown["state"] == "ASSIGNED"),
        what=f"runs for the {attempt}th time",
    )


async def shared_only(cluster: Cluster, node: str) -> None:
    """Wait until a node has no more workers than those it shares."""

    async def look() -> bool | None:
        return len(cluster.members(node, "worker")) <= 1 or None

    await until(look, what=f"{node} has shared workers only", within_s=30)
