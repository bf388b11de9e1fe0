"""A data folder vanishes while its node is down; the others do not need it, no file is shared."""

import shutil
from pathlib import Path

import pytest

from molecule.cli.local import LocalError
from molecule.cli.waiting import until
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")


def below(folder: Path) -> set[tuple[int, int]]:
    """Device and inode of every file below a folder."""
    found = (path.stat() for path in folder.rglob("*") if path.is_file())
    return {(each.st_dev, each.st_ino) for each in found}


async def test_two_nodes_finish_all_work_and_an_emptied_voter_is_refused(
    own_cluster: Cluster,
) -> None:
    cluster = own_cluster
    victim = await cluster.follower()
    others = [node.id for node in cluster.local.place.nodes if node.id != victim]
    folders = [below(cluster.place(node).data) for node in (victim, *others)]
    assert not folders[0] & folders[1]
    assert not folders[1] & folders[2]

    name = cluster.name("deleted")
    with cluster.recorder.hold(name) as hold:
        executions = [
            await cluster.accepted("once", f"{name}.{number}", at=victim) for number in range(10)
        ]
        await hold.reached(10)
        await cluster.kill(victim)
        shutil.rmtree(cluster.place(victim).data)
    await cluster.all_completed(executions)
    assert set(cluster.recorder.counts(name).values()) == {1}

    place = cluster.place(victim)
    cluster.local.start(place)

    async def is_refused() -> bool | None:
        return "emptied" in cluster.log(victim)[-3000:] or None

    await until(is_refused, what="the refusal of a voter that was emptied", within_s=60)
    with pytest.raises(LocalError):
        await cluster.local.ready(place, within_s=5)
    answer = await cluster.submit("nothing", cluster.name("two"), at=others[0], wait="30s")
    assert answer.json()["state"] == "COMPLETED"
