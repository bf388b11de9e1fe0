"""A fault counts when something shows that it worked, and not because it was made."""

import asyncio
import random
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from chaos.faults.at_target import Moody
from chaos.faults.fault import NotConfirmed
from chaos.faults.network import Cut, OneWay
from chaos.faults.shaping import Resets, Slow
from chaos.runner.links import Links
from chaos.runner.recording import Recording
from chaos.runner.site import Site
from chaos.runner.target import Mood, Target
from molecule.cli.local import LocalCluster
from molecule.cli.local_files import HOST

NODES = ("n1", "n2")
SOON_S = 0.2


class _Nodes:
    """Two servers that echo, where nodes would be."""

    place = SimpleNamespace(nodes=[SimpleNamespace(id=node) for node in NODES])

    def __init__(self, dialled: dict[str, dict[str, str]]) -> None:
        self.dialled = dialled

    async def ready(self, place: str, *, within_s: float) -> None:
        """Always."""

    def node(self, node: str) -> str:
        return node


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    target = Target(Recording(), random.Random(1))
    await target.start()
    links = Links(NODES)
    servers = [await asyncio.start_server(echo, HOST, 0) for _ in NODES]
    dialled = await links.listen()
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    links.lead_to({node: f"{HOST}:{port}" for node, port in zip(NODES, ports, strict=True)})
    async with httpx2.AsyncClient(base_url=target.url, trust_env=False) as http:
        made = Site(cast("LocalCluster", _Nodes(dialled)), links, target, http)
        made.down = set(dialled["n1"]["n2"].split())
        yield made
    await target.stop()
    for server in servers:
        server.close()
    await links.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def made(fault: Any, site: Site) -> dict[str, Any]:
    await fault.begin(site)
    try:
        return dict(await fault.confirm(site))
    finally:
        await fault.end(site)


async def test_a_cut_that_nobody_ran_into_is_not_confirmed(site: Site) -> None:
    cut = Cut("isolate", ("n1",), False, (("n1", "n2"),), 0.0, hits_within_s=SOON_S)

    with pytest.raises(NotConfirmed):
        await made(cut, site)


async def test_a_cut_holds_what_comes_and_lets_it_through_afterwards(site: Site) -> None:
    (address,) = site.down
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    cut = Cut("isolate", ("n1",), False, (("n1", "n2"),), 0.0)
    await cut.begin(site)
    writer.write(b"bc")

    evidence = await cut.confirm(site)

    assert evidence["bytes_and_callers_held"] == 2
    await cut.end(site)
    assert await reader.readexactly(2) == b"bc"
    writer.close()


async def test_a_caller_who_dials_across_a_cut_is_seen(site: Site) -> None:
    (address,) = site.down
    cut = Cut("isolate", ("n1",), False, (("n1", "n2"),), 0.0)
    await cut.begin(site)
    reader, writer = await asyncio.open_connection(*address.split(":"))

    assert (await cut.confirm(site))["bytes_and_callers_held"] == 1

    await cut.end(site)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    writer.close()


async def test_one_way_holds_what_goes_there_and_passes_what_comes_back(site: Site) -> None:
    (address,) = site.down
    dialled = cast("_Nodes", site.local).dialled
    here, to_other = await asyncio.open_connection(*address.split(":"))
    there, to_one = await asyncio.open_connection(*dialled["n2"]["n1"].split(":"))
    for reader, writer in ((here, to_other), (there, to_one)):
        writer.write(b"a")
        assert await reader.readexactly(1) == b"a"
    fault = OneWay(("n1",), False, is_mute=True, seconds=0.0, kind="mute")
    await fault.begin(site)
    to_one.write(b"bcd")  # passes, and its echo does not

    evidence = await fault.confirm(site)

    assert (evidence["bytes_held"], evidence["bytes_the_other_way"]) == (3, 3)
    await fault.end(site)
    assert await there.readexactly(3) == b"bcd"
    to_other.close()
    to_one.close()


async def test_one_way_that_is_silent_both_ways_is_not_confirmed(site: Site) -> None:
    (address,) = site.down
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    fault = OneWay(("n1",), False, is_mute=True, seconds=0.0, kind="mute")
    await fault.begin(site)
    writer.write(b"b")

    with pytest.raises(NotConfirmed, match="nothing came the other way"):
        await fault.confirm(site)

    await fault.end(site)
    assert await reader.readexactly(1) == b"b"
    writer.close()


async def test_a_narrow_link_passes_everything_in_order_and_late(site: Site) -> None:
    (address,) = site.down
    reader, writer = await asyncio.open_connection(*address.split(":"))
    said = bytes(range(256)) * 8
    fault = Slow("narrow_link", ("n1",), 0.0, 20_000.0, 0.0)
    await fault.begin(site)
    writer.write(said)

    evidence = await fault.confirm(site)

    assert evidence["late_s_in_sum"] > 0
    assert await reader.readexactly(len(said)) == said
    await fault.end(site)
    writer.write(b"z")
    assert await reader.readexactly(1) == b"z"
    writer.close()


async def test_what_waited_at_a_narrow_link_goes_on_at_once_when_it_is_healed(site: Site) -> None:
    (address,) = site.down
    reader, writer = await asyncio.open_connection(*address.split(":"))
    said = bytes(100_000)
    # At this rate it would take longer than anybody waits for a test.
    fault = Slow("narrow_link", ("n1",), 0.0, 10.0, 0.0)
    await fault.begin(site)
    writer.write(said)
    await fault.confirm(site)
    await fault.end(site)

    assert await reader.readexactly(len(said)) == said
    writer.close()


async def test_a_slow_link_that_nobody_used_is_not_confirmed(site: Site) -> None:
    fault = Slow("slow_link", ("n1",), 0.1, 0.0, 0.0, hits_within_s=SOON_S)

    with pytest.raises(NotConfirmed):
        await made(fault, site)


async def test_a_reset_breaks_what_is_open_and_the_next_caller_gets_through(site: Site) -> None:
    (address,) = site.down
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    fault = Resets(("n1",), 1)
    await fault.begin(site)

    assert (await fault.confirm(site))["connections_broken"] == 1
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)

    writer.close()
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"b")
    assert await reader.readexactly(1) == b"b"
    writer.close()


async def test_a_reset_that_broke_nothing_is_not_confirmed(site: Site) -> None:
    with pytest.raises(NotConfirmed):
        await made(Resets(("n1",), 1), site)


async def test_a_mood_that_met_nobody_is_not_confirmed(site: Site) -> None:
    fault = Moody("target_fails", Mood(fails=1.0), 0.0, hits_within_s=SOON_S)

    with pytest.raises(NotConfirmed):
        await made(fault, site)


async def test_a_mood_counts_those_whom_it_harmed_and_passes(site: Site) -> None:
    fault = Moody("target_fails", Mood(fails=1.0), 0.0)
    await fault.begin(site)
    assert (await site.http.post("/plain/pay/x")).status_code == 503

    assert await fault.confirm(site) == {"calls_harmed": 1}

    await fault.end(site)
    assert (await site.http.post("/plain/pay/x")).status_code == 201
