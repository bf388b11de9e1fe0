"""Key tables on real nodes: what a process writes and what people write are one."""

from typing import Any

import pytest

from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def row(cluster: Cluster, key: str, *, at: str) -> Any:
    answer = await cluster.get(f"/api/v1/tables/test/kept/{key}", at=at, fresh="true")
    assert answer.is_success, answer.text
    return answer.json()["value"]


async def test_rows_of_processes_and_people_are_one_and_outlive_the_leader(
    cluster: Cluster,
) -> None:
    name = cluster.name("kept")
    first = await cluster.accepted("keeps", name, at=NODES[0])
    assert (await cluster.ended(first))["state"] == "COMPLETED"
    assert await row(cluster, name, at=NODES[1]) == {"before": None}

    changed = await cluster.put(
        f"/api/v1/tables/test/kept/{name}", {"value": {"told": "by a person"}}, at=NODES[2]
    )
    assert changed.is_success, changed.text
    await cluster.kill(await cluster.leader())
    await cluster.leader()
    body = {"process": "keeps", "input": {"name": name}}
    answer = await cluster.post("/api/v1/executions", body, key=f"{name}.again")
    assert answer.is_success, answer.text
    second = await cluster.ended(answer.json()["execution"])
    assert second["state"] == "COMPLETED", second
    await cluster.start_all()
    for node in NODES:
        assert await row(cluster, name, at=node) == {"before": {"told": "by a person"}}
