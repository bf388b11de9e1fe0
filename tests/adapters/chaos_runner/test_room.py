"""Disks that are full or broken count when nothing can be written and the node says so."""

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.faults.damage import put_back
from chaos.faults.fault import NotConfirmed
from chaos.faults.room import Full, ReadOnly
from chaos.runner import volumes
from chaos.runner.site import Site

_REFUSAL = volumes.why_not()
pytestmark = pytest.mark.skipif(bool(_REFUSAL), reason=_REFUSAL or "-")

SOON_S = 0.3


class Node:
    """A volume with a node that calls it full when nothing is free, unless it is blind."""

    def __init__(self, folder: Path) -> None:
        self.volumes = {"n1": volumes.make(folder)}
        self.log = folder / "log.jsonl"
        self.log.write_text("Read-only file system: long ago\n")
        self.local = SimpleNamespace(node=lambda _: self)
        self.is_blind = False
        self.down: set[str] = set()
        self.deeds: list[str] = []

    async def get(self, node: str, path: str) -> dict[str, Any]:
        assert (node, path) == ("n1", "/api/v1/retention")
        is_full = self.volumes["n1"].free_bytes() == 0 and not self.is_blind
        return {"level": "no_submissions" if is_full else "roomy"}

    def signal(self, node: str, number: int) -> int:
        assert (node, number) == ("n1", signal.SIGKILL)
        self.deeds.append("killed")
        return 1

    async def gone(self, node: str) -> None:
        """At once."""

    async def start(self, node: str) -> None:
        assert node == "n1"
        self.deeds.append("started")

    async def back(self, node: str) -> None:
        assert node == "n1"
        self.deeds.append("back")

    def site(self) -> Site:
        return cast("Site", self)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "n1")
    yield made
    volumes.take_away(made.volumes["n1"].root)


@pytest.mark.parametrize("is_greedy", [False, True])
async def test_a_full_disk_is_confirmed_and_emptied(node: Node, is_greedy: bool) -> None:
    before = node.volumes["n1"].free_bytes()
    fault = Full(("n1",), 0.0, is_greedy)
    await fault.begin(node.site())

    told = await fault.confirm(node.site())

    assert told["free_bytes"] == {"n1": 0}
    await fault.end(node.site())
    assert node.volumes["n1"].free_bytes() == before
    assert node.deeds == ["back"]


async def test_a_full_disk_that_its_node_does_not_see_is_not_confirmed(node: Node) -> None:
    node.is_blind = True
    fault = Full(("n1",), 0.0, is_greedy=False, seen_within_s=SOON_S)
    await fault.begin(node.site())

    with pytest.raises(NotConfirmed):
        await fault.confirm(node.site())

    await fault.end(node.site())


async def test_a_broken_disk_is_confirmed_and_mended(node: Node, tmp_path: Path) -> None:
    data = tmp_path / "n1" / "data"
    fault = ReadOnly(("n1",), unseats=False)
    await fault.begin(node.site())
    with node.log.open("a") as log:
        log.write("cannot run: Read-only file system\n")

    told = await fault.confirm(node.site())

    assert told == {"errno": "EROFS", "told": "cannot run: Read-only file system"}
    assert node.down == {"n1"}
    await fault.end(node.site())
    (data / "probe").touch()
    assert node.deeds == ["killed", "started"]


async def test_what_was_put_back_survives_a_broken_disk(node: Node, tmp_path: Path) -> None:
    kept, data = tmp_path / "kept", tmp_path / "n1" / "data"
    (kept / "journal").mkdir(parents=True)
    (kept / "journal" / "1.segment").write_bytes(b"kept" * 5_000)
    put_back(kept, data)
    volume = node.volumes["n1"]

    volume.fail()
    await volume.mend()

    assert (data / "journal" / "1.segment").read_bytes() == b"kept" * 5_000


async def test_a_broken_disk_that_nobody_spoke_of_is_not_confirmed(node: Node) -> None:
    fault = ReadOnly(("n1",), unseats=False, seen_within_s=SOON_S)
    await fault.begin(node.site())

    with pytest.raises(NotConfirmed):
        await fault.confirm(node.site())

    await fault.end(node.site())


async def test_a_disk_that_can_be_written_is_not_broken(node: Node) -> None:
    fault = ReadOnly(("n1",), unseats=False, seen_within_s=SOON_S)
    with pytest.raises(NotConfirmed, match="could be made"):
        await fault.confirm(node.site())
