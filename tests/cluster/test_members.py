"""Nodes join and leave while work runs: nothing is lost, nothing happens twice."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from molecule.cli import joining, local_files
from molecule.cli.failures import Failure
from molecule.cli.joining import JoinToken
from tests.cluster.members import Growing

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIVE = ("n1", "n2", "n3", "n4", "n5")


@pytest_asyncio.fixture(loop_scope="session")
async def alone(tmp_path: Path) -> AsyncIterator[Growing]:
    """A cluster of one."""
    async with Growing(tmp_path, nodes=1) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def three(tmp_path: Path) -> AsyncIterator[Growing]:
    """A cluster of three."""
    async with Growing(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def under_load(cluster: Growing, name: str) -> AsyncIterator[list[str]]:
    """Submissions one after the other, until the block ends; the executions they became."""
    executions: list[str] = []
    is_over = asyncio.Event()

    async def accepted(name: str, **fields: str) -> str:
        """A node that leaves may not know what became of a call: the same key is asked again."""
        while True:
            answer = await cluster.submit("once", name, **fields)
            if answer.is_success:
                return str(answer.json()["execution"])
            assert answer.json()["retryable"], answer.text

    async def submit() -> None:
        numbers: Iterator[int] = iter(range(1_000_000))
        while not is_over.is_set():
            number = next(numbers)
            large = {"text": "x" * 20_000} if number % 5 == 0 else {}
            executions.append(await accepted(f"{name}.{number}", **large))

    async with asyncio.TaskGroup() as group:
        group.create_task(submit())
        try:
            yield executions
        finally:
            is_over.set()


async def voters(cluster: Growing) -> list[str]:
    found: list[str] = (await cluster.status())["voters"]
    return found


async def test_one_node_becomes_five_and_one_again_under_load(alone: Growing) -> None:
    cluster = alone
    name = cluster.name("grow")
    async with under_load(cluster, name) as executions:
        for node in FIVE[1:]:
            await cluster.join(node, at="n1")
        assert await voters(cluster) == list(FIVE)
        assert (await cluster.status())["may_lose_voters"] == 2
        for node in FIVE[:-1]:
            answer = await cluster.leave(node)
            assert answer.is_success, answer.text
        assert await voters(cluster) == ["n5"]
    assert executions
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}
    await cluster.conserved()


async def test_a_dead_voter_whose_disk_is_gone_is_replaced_while_work_runs(
    three: Growing,
) -> None:
    cluster = three
    name = cluster.name("replace")
    async with under_load(cluster, name) as executions:
        await cluster.registered("n2")
        await cluster.kill("n2")
        shutil.rmtree(cluster.place("n2").data)
        refused = await cluster.post("/api/v1/cluster/leave/n2", {"dead": False}, at="n1")
        assert refused.status_code == 409, refused.text
        await cluster.becomes_lost("n2")
        answer = await cluster.leave("n2", dead=True)
        assert answer.is_success, (refused.text, answer.text)
        await cluster.join("n4", at="n1")
    assert await voters(cluster) == ["n1", "n3", "n4"]
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}
    await cluster.conserved()


async def test_what_would_cost_the_quorum_or_the_last_voter_is_refused(alone: Growing) -> None:
    cluster = alone
    assert (await cluster.post("/api/v1/nodes/n1/drain", {})).status_code == 409
    last = await cluster.post("/api/v1/cluster/leave/n1", {})
    assert last.status_code == 409, last.text
    unknown = await cluster.post("/api/v1/cluster/leave/n9", {})
    assert unknown.status_code == 404, unknown.text
    nobody = await cluster.post("/api/v1/cluster/transfer", {"to": "n9"})
    assert nobody.status_code == 404, nobody.text


async def test_a_newcomer_with_a_wrong_token_address_or_name_is_told_so(
    alone: Growing, tmp_path: Path
) -> None:
    cluster = alone
    address = cluster.place("n1").http
    good = JoinToken.parse(await cluster.token())

    async def refused(token: JoinToken, *, node: str = "n7", at: str = address) -> str:
        folder = tmp_path / "elsewhere"
        place = local_files.next_node(folder, node=node, host="127.0.0.1", first_port=None)
        with pytest.raises(Failure) as failed:
            await asyncio.to_thread(joining.obtain, at, token, node=place, folder=folder)
        assert not place.folder.exists()
        return f"{failed.value} {failed.value.why}"

    assert "another authority" in await refused(JoinToken("local", "0" * 64, good.secret))
    assert "belongs to" in await refused(JoinToken("other", good.fingerprint, good.secret))
    assert "nobody made" in await refused(JoinToken("local", good.fingerprint, "guess"))
    assert "already" in await refused(good, node="n1")
    assert "does not answer" in await refused(good, at="127.0.0.1:1")
    short = JoinToken.parse(await cluster.token(lifetime_ms=1))
    await cluster.accepted("nothing", cluster.name("tick"))
    assert "expired" in await refused(short)
    await cluster.join("n2", at="n1")
    # The token of n2's own was another one: this one is still good, but only once.
    assert await voters(cluster) == ["n1", "n2"]
