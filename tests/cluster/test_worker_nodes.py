"""Nodes without a vote: they work like every node, and their work moves when they die."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORK = 24


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mixed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """One voter and two worker nodes."""
    folder: Path = tmp_path_factory.mktemp("mixed")
    async with Cluster(folder, nodes=1, worker_nodes=2) as made:
        yield made


async def test_worker_nodes_take_work_and_have_no_vote(mixed: Cluster) -> None:
    status = await mixed.status()
    assert status["voters"] == ["n1"]
    assert {node["id"]: node["voter"] for node in status["nodes"]} == {
        "n1": True,
        "n2": False,
        "n3": False,
    }
    name = mixed.name("shared")
    with mixed.recorder.hold(f"{name}.") as hold:
        names = [f"{name}.{number}" for number in range(WORK)]
        executions = await mixed.accepted_many("once", names)
        await hold.reached(WORK)
        nodes = {(await mixed.show(execution))["node"] for execution in executions}
    assert {"n2", "n3"} <= nodes
    await mixed.all_completed(executions)
    assert set(mixed.recorder.counts(name).values()) == {1}
    assert not (mixed.place("n2").data / "generations").exists()


async def test_large_documents_go_through_the_voters(mixed: Cluster) -> None:
    name = mixed.name("large")
    executions = [
        await mixed.accepted("nothing", f"{name}.{number}", text="x" * 60_000)
        for number in range(9)
    ]
    await mixed.all_completed(executions)


async def test_a_worker_node_dies_and_its_work_goes_on_elsewhere(mixed: Cluster) -> None:
    name = mixed.name("dies")
    with mixed.recorder.hold(f"{name}.") as hold:
        names = [f"{name}.{number}" for number in range(WORK)]
        executions = await mixed.accepted_many("once", names)
        await hold.reached(WORK)
        held = [each for each in executions if (await mixed.show(each))["node"] == "n2"]
        assert held
        await mixed.kill("n2")
        for execution in held:
            await mixed.leaves(execution, "n2")
    await mixed.all_completed(executions)
    assert set(mixed.recorder.counts(name).values()) == {1}
    await mixed.start("n2")
    await mixed.conserved()
