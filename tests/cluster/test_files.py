"""A watched folder: every record becomes one execution, whatever happens to its watcher."""

from pathlib import Path
from typing import Any

import pytest

from molecule.cli.waiting import until
from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


def arrives(cluster: Cluster, file: str, lines: list[str]) -> None:
    """Put a file into the inbox, whole."""
    part = cluster.inbox / f".{file}.part"
    part.write_text("\n".join(lines) + "\n")
    part.rename(cluster.inbox / file)


async def put_away(cluster: Cluster, path: Path) -> None:
    async def look() -> bool | None:
        return True if (cluster.inbox / path).exists() else None

    await until(look, what=f"{path} in the inbox", within_s=120)


async def watcher(cluster: Cluster) -> str:
    """The node that runs the trigger."""

    async def look() -> str | None:
        listed = await cluster.get("/api/v1/processes", environment="test")
        found: list[dict[str, Any]] = listed.json()["items"]
        return next(each["trigger_node"] for each in found if each["process"] == "files") or None

    return await until(look, what="a node that watches", within_s=60)


async def test_every_record_becomes_one_execution(cluster: Cluster) -> None:
    name = cluster.name("file")
    names = [f"{name}.{number}" for number in range(50)]
    arrives(cluster, f"{name}.csv", ["name", *names])
    await put_away(cluster, Path("done") / f"{name}.csv")
    assert cluster.recorder.counts(name) == dict.fromkeys(names, 1)


async def test_the_watching_node_dies_in_the_middle_of_a_file(cluster: Cluster) -> None:
    name = cluster.name("middle")
    names = [f"{name}.{number}" for number in range(300)]
    node = await watcher(cluster)
    with cluster.recorder.hold(name) as hold:
        arrives(cluster, f"{name}.csv", ["name", *names])
        await hold.reached(20)
        await cluster.kill(node)
    await put_away(cluster, Path("done") / f"{name}.csv")
    assert cluster.recorder.counts(name) == dict.fromkeys(names, 1)
    await cluster.conserved()


async def shown_everywhere(cluster: Cluster, state: str) -> dict[str, Any]:
    """The deployment of the watcher, once every node shows its trigger in this state."""

    async def look() -> dict[str, Any] | None:
        found = []
        for node in NODES:
            listed = await cluster.get("/api/v1/processes/files", at=node)
            (deployed,) = listed.json()["deployments"]
            found.append(deployed)
        return found[-1] if {each["trigger_state"] for each in found} == {state} else None

    return await until(look, what=f"a {state} trigger at every node", within_s=60)


async def test_a_trigger_that_fails_says_so_at_every_node(cluster: Cluster) -> None:
    await shown_everywhere(cluster, "running")
    index = (await cluster.status())["index"]
    away = cluster.inbox.with_name("inbox-away")
    cluster.inbox.rename(away)
    cluster.inbox.write_text("no folder any more")
    try:
        failing = await shown_everywhere(cluster, "failing")
    finally:
        cluster.inbox.unlink()
        away.rename(cluster.inbox)
    assert failing["trigger_failures"] > 0
    assert cluster.inbox.name in failing["trigger_last_error"]
    assert failing["trigger_last_error_at_ms"] >= failing["trigger_last_success_at_ms"] > 0
    mended = await shown_everywhere(cluster, "running")
    assert (mended["trigger_failures"], mended["trigger_node"]) == (0, failing["trigger_node"])
    assert mended["trigger_last_success_at_ms"] > mended["trigger_last_error_at_ms"]
    assert (await cluster.status())["index"] == index, "a failure is no entry of the log"


async def test_bad_rows_are_kept_apart_and_the_rest_goes_on(cluster: Cluster) -> None:
    name = cluster.name("rows")
    good = [f"{name}.{number}" for number in range(5)]
    lines = ["name", good[0], good[1], f"{name}.bad,too,many", *good[2:]]
    arrives(cluster, f"{name}.csv", lines)

    async def all_told() -> bool | None:
        return True if cluster.recorder.counts(name) == dict.fromkeys(good, 1) else None

    await until(all_told, what="the good rows at the target", within_s=60)

    async def kept() -> list[dict[str, Any]] | None:
        # What is searched is written shortly after it was committed.
        listed = await cluster.get("/api/v1/deadletters", process="files")
        return [each for each in listed.json()["items"] if f"{name}.csv" in each["error"]] or None

    letters = await until(kept, what="the bad row among the dead letters", within_s=60)
    assert len(letters) == 1, letters
    assert "4" in letters[0]["error"], "it names the line"
