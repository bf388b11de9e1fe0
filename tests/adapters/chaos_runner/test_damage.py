"""Each wound of a real voter's folder is noticed by it, and what was refused can be put back."""

import json
import random
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.crashpoints.scripts import voter
from chaos.faults import wounds
from chaos.faults.damage import Damage, OlderCopy
from chaos.faults.fault import NotConfirmed
from chaos.faults.wounds import MENDED, REFUSED, NothingToDamage
from chaos.runner.site import Site
from molecule.config import NodeConfig, TlsFiles
from molecule.model.errors import DamagedData
from molecule.node.opening import open_data
from molecule.raft.records import HEADER_BYTES
from molecule.raft.settings import Bounds

SEEDS = range(4)
SOON_S = 0.2


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a voter left that was stopped, in `data`."""
    folder = tmp_path_factory.mktemp("voter")
    voter.VoterScript().run(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written / "data", tmp_path / "data")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def opened(data: Path) -> None:
    """Open it as a node does; raises what a node would say."""
    nothing = TlsFiles(ca="", certificate="", key="")
    config = NodeConfig(id="n1", data=str(data), tls=nothing, admin_token_file="")
    found = await open_data(config)
    try:
        _, files = found.folder.open_journal(Bounds())
        files.close()
    finally:
        await found.close()


class Started:
    """One node, which opens its folder when it is looked at first after each start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log.jsonl"
        self.log.write_text("molecule: node n1 cannot run: long ago\n")
        self.signals: list[int] = []
        self.starts = 0
        self.down: set[str] = set()
        self.works = False
        self.told: dict[str, Any] = {}
        self.local = SimpleNamespace(node=lambda _: self)

    def launch(self, node: str) -> None:
        """Say what others tell it; `look` does the rest."""
        if self.told:
            with self.log.open("a") as log:
                log.write(json.dumps(self.told) + "\n")

    def signal(self, node: str, number: int) -> int:
        assert node == "n1"
        self.signals.append(number)
        return 1

    async def gone(self, node: str) -> None:
        """At once."""

    async def ready(self, node: str) -> None:
        """At once."""

    async def start(self, node: str) -> None:
        await opened(self.data)
        if self.works:
            (self.data / "work").touch()
        self.starts += 1

    async def back(self, node: str) -> None:
        """At once."""

    async def look(self) -> None:
        try:
            await opened(self.data)
        except DamagedData as error:
            with self.log.open("a") as log:
                log.write(f"molecule: node n1 cannot run: {error}\n")


def a_damage(what: str, **fields: Any) -> Damage:
    return Damage("damage", ("n1",), False, what, random.Random(1), **fields)


@pytest.mark.parametrize("what", REFUSED)
async def test_a_wound_is_refused_with_a_message(folder: Path, what: str) -> None:
    for seed in SEEDS:
        data = folder / f"data{seed}"
        shutil.copytree(folder / "data", data)
        done = REFUSED[what](random.Random(seed), data)
        assert done
        with pytest.raises(DamagedData):
            await opened(data)


@pytest.mark.parametrize("what", MENDED)
async def test_a_wound_is_mended_and_told_in_the_journal(folder: Path, what: str) -> None:
    for seed in SEEDS:
        data = folder / f"data{seed}"
        shutil.copytree(folder / "data", data)
        before = wounds.doubts(data)
        MENDED[what](random.Random(seed), data)
        await opened(data)
        assert wounds.doubts(data) > before


def test_a_disk_without_a_record_cannot_be_wounded(folder: Path) -> None:
    for path in (folder / "data").rglob("*.segment"):
        path.write_bytes(path.read_bytes()[:HEADER_BYTES])
    for wound in (wounds.torn_tail, wounds.flipped_in_journal):
        with pytest.raises(NothingToDamage):
            wound(random.Random(1), folder / "data")


@pytest.mark.parametrize("what", REFUSED)
async def test_what_was_refused_is_told_and_gets_its_files_back(folder: Path, what: str) -> None:
    node = Started(folder)
    before = contents(node.data)
    damage = a_damage(what)
    await damage.begin(cast("Site", node))
    assert contents(node.data) != before
    await node.look()

    evidence = await damage.confirm(cast("Site", node))

    assert "cannot run" in evidence["told"]
    assert "long ago" not in evidence["told"]
    await damage.end(cast("Site", node))
    assert node.starts == 1
    assert node.signals == [signal.SIGKILL]
    assert not list(folder.glob("*.kept"))


async def test_what_was_mended_is_not_put_back(folder: Path) -> None:
    node = Started(folder)
    damage = a_damage("torn tail")
    await damage.begin(cast("Site", node))
    await node.look()

    evidence = await damage.confirm(cast("Site", node))

    assert "a doubt" in evidence["told"]
    mended = contents(node.data)
    await damage.end(cast("Site", node))
    assert contents(node.data) == mended


@pytest.mark.parametrize("what", ["torn tail", "lost CURRENT"])
async def test_damage_that_nobody_spoke_of_is_not_confirmed(folder: Path, what: str) -> None:
    node = Started(folder)
    damage = a_damage(what, seen_within_s=SOON_S)
    await damage.begin(cast("Site", node))

    with pytest.raises(NotConfirmed):
        await damage.confirm(cast("Site", node))


async def test_a_node_that_had_nothing_to_damage_is_started_again(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    node = Started(folder)
    damage = a_damage("snapshot cut short")
    await damage.begin(cast("Site", node))

    with pytest.raises(NotConfirmed):
        await damage.confirm(cast("Site", node))

    await damage.end(cast("Site", node))
    assert node.starts == 1


async def test_an_older_copy_counts_when_the_node_was_told_of_its_age(folder: Path) -> None:
    node = Started(folder)
    before = contents(node.data)
    fault = OlderCopy(("n1",), False, seconds=0.0, seen_within_s=SOON_S)

    node.works = True
    await fault.begin(cast("Site", node))
    assert contents(node.data) == before
    with pytest.raises(NotConfirmed):
        await fault.confirm(cast("Site", node))
    told = {"msg": "disk_is_older", "peer": "n2", "acknowledged": 9, "here": 7}
    node.told = told

    evidence = await fault.confirm(cast("Site", node))

    assert evidence == {"told_by": "n2", "acknowledged": 9, "held": 7, "older_by_s": 0.0}
    await fault.end(cast("Site", node))
    assert not list(folder.glob("*.kept"))
