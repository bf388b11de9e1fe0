"""Members come and go on real disks and real links, with a client that writes all the time."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from molecule.model.errors import MemberExists, MemberRemoved, QuorumAtRisk
from tests.adapters.raft.cluster import until
from tests.adapters.raft.linked import Node, Site, a_site

NAMES = ("n1", "n2", "n3", "n4", "n5")


def _has(node: Node, written: set[bytes]) -> bool:
    return written <= set(node.machine.entries)


async def everything_is_on(site: Site, *names: str) -> None:
    """All that was acknowledged is there, in one order, each once."""
    written = list(site.written)
    assert written
    for name in names:
        node = site[name]
        await until(partial(_has, node, set(written)))
        order = [entry for entry in node.machine.entries if entry in set(written)]
        assert order == written


async def test_one_grows_to_five_and_back_while_a_client_writes(tmp_path: Path) -> None:
    async with a_site(tmp_path, *NAMES, founders=("n1",)) as site:
        for name in ("n2", "n3", "n4", "n5"):
            leader = await site.leader()
            leader.save()
            await site.grow(name)
        leader = await site.leader()
        assert leader.driver.configuration.voter_ids == NAMES
        await everything_is_on(site, *NAMES)

        # The founder leaves too: the next leader removes it.
        for name in ("n1", "n3", "n5", "n2"):
            await site.shrink(name)

        last = await site.leader()
        assert last.name == "n4"
        assert last.driver.configuration.voter_ids == ("n4",)
        before = len(site.written)
        await until(lambda: len(site.written) > before + 5)
        await everything_is_on(site, "n4")


async def test_a_dead_voter_is_replaced_while_a_client_writes(tmp_path: Path) -> None:
    async with a_site(tmp_path, "n1", "n2", "n3", "n4", founders=("n1", "n2", "n3")) as site:
        leader = await site.leader()
        dead, other = [name for name in ("n1", "n2", "n3") if name != leader.name]
        await until(lambda: len(site.written) > 20)
        await site[dead].stop(empties=True)
        leader.save()
        await until(lambda: dead not in leader.driver.voters_alive())
        with pytest.raises(QuorumAtRisk):
            await leader.driver.remove(other)

        await site.repeat(lambda now: now.driver.remove(dead))
        await site.grow("n4")
        assert (await site.leader()).driver.configuration.is_voter("n4")

        # With the replacement in place the cluster survives the loss of another one.
        await site[(await site.leader()).name].stop()
        before = len(site.written)
        await until(lambda: len(site.written) > before + 5)
        await everything_is_on(site, (await site.leader()).name)


async def test_the_same_machine_returns_with_an_empty_folder_only(tmp_path: Path) -> None:
    async with a_site(tmp_path, "n1", "n2", founders=("n1",)) as site:
        await site.grow("n2")
        old = site["n2"].member
        await site.repeat(lambda leader: leader.driver.remove("n2"))
        await until(lambda: site["n2"].refused)
        assert "was removed" in site["n2"].refused[0]
        await site["n2"].stop()
        leader = await site.leader()
        with pytest.raises(MemberRemoved):
            await leader.driver.add_learner(old)

        # Started again on its old folder it is told again.
        site["n2"].refused.clear()
        await site["n2"].start()
        await until(lambda: site["n2"].refused)
        await site["n2"].stop(empties=True)

        await site.grow("n2")
        await everything_is_on(site, "n1", "n2")


async def test_a_voter_that_was_emptied_but_not_removed_is_not_let_in(tmp_path: Path) -> None:
    async with a_site(tmp_path, "n1", "n2", "n3", founders=("n1",)) as site:
        await site.grow("n2")
        await site.grow("n3")
        await site["n3"].stop(empties=True)
        await site["n3"].start()
        await until(lambda: site["n3"].driver.waits_because)
        assert "another data folder" in (site["n3"].driver.waits_because or "")
        leader = await site.leader()
        with pytest.raises(MemberExists):
            await leader.driver.add_learner(site["n3"].member)

        await site.repeat(lambda now: now.driver.remove("n3"))
        await site.repeat(lambda now: now.driver.add_learner(site["n3"].member))
        await site.repeat(lambda now: now.driver.promote("n3"))
        await everything_is_on(site, "n1", "n2", "n3")


async def test_all_nodes_restart_in_the_middle_of_a_change(tmp_path: Path) -> None:
    async with a_site(tmp_path, "n1", "n2", "n3", founders=("n1",)) as site:
        await site.grow("n2")
        await site["n3"].start()
        leader = await site.leader()
        change = asyncio.create_task(leader.driver.add_learner(site["n3"].member))
        await asyncio.sleep(0)
        for name in ("n1", "n2", "n3"):
            await site[name].stop()
        await asyncio.gather(change, return_exceptions=True)
        for name in ("n1", "n2", "n3"):
            await site[name].start()

        await site.repeat(lambda now: now.driver.add_learner(site["n3"].member))
        await site.repeat(lambda now: now.driver.promote("n3"))

        assert (await site.leader()).driver.configuration.voter_ids == ("n1", "n2", "n3")
        await everything_is_on(site, "n1", "n2", "n3")


async def test_leadership_goes_where_it_is_sent(tmp_path: Path) -> None:
    async with a_site(tmp_path, "n1", "n2", "n3", founders=("n1", "n2", "n3")) as site:
        for name in ("n3", "n1", "n2", "n3"):
            async with asyncio.timeout(20):
                while (leader := await site.leader()).name != name:
                    leader.driver.transfer(name)
                    await asyncio.sleep(0.1)
