"""A node that cannot be trusted or cannot work does not start, says why, and hurts nobody."""

import json
import os
import secrets
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from molecule.cli import local_files, local_process
from molecule.cli.local_files import NodePlace
from molecule.cli.waiting import until
from molecule.rpc import certificates
from tests.cluster.cluster import NODES, Cluster

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIG_IS_WRONG = 78


def of_another_cluster(data: Path) -> None:
    rewritten(data, cluster="elsewhere")


def of_another_node(data: Path) -> None:
    rewritten(data, node="n9")


def of_a_newer_version(data: Path) -> None:
    rewritten(data, format=999)


def without_identity(data: Path) -> None:
    (data / "identity.json").unlink()


def without_journal(data: Path) -> None:
    shutil.rmtree(generation(data) / "journal")


def with_a_flipped_byte_in_the_journal(data: Path) -> None:
    segment = min((generation(data) / "journal").iterdir())
    flip(segment, offset=200)


def with_a_ruined_snapshot(data: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (generation(data) / f"state.db{suffix}").unlink(missing_ok=True)
    state = generation(data) / "state.db"
    with state.open("r+b") as file:
        file.seek(0)
        file.write(b"\xa5" * 4096)


def with_a_newer_snapshot(data: Path) -> None:
    with closing(sqlite3.connect(generation(data) / "state.db")) as database, database:
        database.execute("UPDATE meta SET value = 9999 WHERE name = 'schema'")
    database.close()


def of_another_cluster_of_the_same_names(data: Path) -> None:
    births = {name: secrets.token_hex(16) for name in NODES}
    told = json.loads((data / "identity.json").read_text())
    rewritten(data, birth=births[told["node"]], births=births)


DAMAGES = [
    (of_another_cluster, "cluster"),
    (of_another_cluster_of_the_same_names, "emptied"),
    (of_another_node, "node"),
    (of_a_newer_version, "format 999"),
    (without_identity, "identity.json"),
    (without_journal, "journal"),
    (with_a_flipped_byte_in_the_journal, "damaged"),
    (with_a_ruined_snapshot, "state.db"),
    (with_a_newer_snapshot, "newer version"),
]


def rewritten(data: Path, **fields: object) -> None:
    file = data / "identity.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def generation(data: Path) -> Path:
    return data / "generations" / (data / "CURRENT").read_text().strip()


def flip(file: Path, *, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 0xFF
    file.write_bytes(content)


async def refused(cluster: Cluster, place: NodePlace) -> str:
    """Start a node, wait until it gave up, and return what it said."""
    before = len(place.log.read_text()) if place.log.exists() else 0
    command = [sys.executable, "-m", "molecule", "serve", "--config", str(place.config)]
    mark = local_process.start(command, log=place.log, environ=os.environ)
    try:
        await local_process.until_gone(mark, within_s=40)
    finally:
        await local_process.stop(mark, grace_s=5)
    return place.log.read_text(errors="replace")[before:]


async def works(cluster: Cluster) -> None:
    name = cluster.name("works")
    answer = await cluster.submit("nothing", name, wait="30s")
    assert answer.json()["state"] == "COMPLETED", answer.text


@pytest_asyncio.fixture(loop_scope="session")
async def stopped(cluster: Cluster, tmp_path: Path) -> AsyncIterator[NodePlace]:
    """A follower that was stopped; its folder is put back afterwards."""
    place = cluster.place(await cluster.follower())
    await cluster.stop(place.id)
    kept = tmp_path / "kept"
    shutil.copytree(place.folder, kept)
    yield place
    shutil.rmtree(place.folder)
    shutil.copytree(kept, place.folder)


@pytest.mark.parametrize(
    ("damage", "word"), DAMAGES, ids=lambda each: getattr(each, "__name__", "")
)
async def test_a_data_folder_is_refused_with_its_reason(
    cluster: Cluster, stopped: NodePlace, damage: Callable[[Path], None], word: str
) -> None:
    damage(stopped.data)
    said = await refused(cluster, stopped)
    assert "cannot run" in said
    assert word in said
    assert "Traceback" not in said
    await works(cluster)
    for node in cluster.local.place.nodes:
        if node.id != stopped.id:
            await cluster.local.ready(node, within_s=30)


async def test_a_node_started_twice_is_refused_while_the_first_goes_on(cluster: Cluster) -> None:
    place = cluster.place(await cluster.follower())
    said = await refused(cluster, place)
    assert "in use" in said
    await cluster.local.ready(place, within_s=10)
    await works(cluster)


async def test_a_second_node_with_the_same_identity_and_another_folder_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    first = cluster.place(await cluster.follower())
    ports = local_files.free_ports(2, first=None)
    double = with_settings(
        first,
        tmp_path,
        data=str(tmp_path / "data"),
        rpc=f"127.0.0.1:{ports[0]}",
        http=f"127.0.0.1:{ports[1]}",
    )
    said = await refused(cluster, double)
    assert "emptied" in said, said
    assert (await cluster.get("/readyz", at=first.id)).status_code == 200
    await works(cluster)


async def test_a_port_in_use_is_named(cluster: Cluster, stopped: NodePlace, tmp_path: Path) -> None:
    others = [node for node in cluster.local.place.nodes if node.id != stopped.id]
    taken = with_settings(stopped, tmp_path, http=others[0].http, data=str(stopped.data))
    said = await refused(cluster, taken)
    assert others[0].http.rpartition(":")[2] in said
    assert "Traceback" not in said


async def test_a_missing_certificate_is_named(
    cluster: Cluster, stopped: NodePlace, tmp_path: Path
) -> None:
    (stopped.folder / "node.pem").unlink()
    said = await refused(cluster, stopped)
    assert "node.pem" in said
    assert "Traceback" not in said


async def test_a_certificate_of_another_authority_is_refused(
    cluster: Cluster, stopped: NodePlace
) -> None:
    stranger = certificates.create_authority("local")
    pair = certificates.issue_node(
        stranger, cluster="local", node=stopped.id, addresses=["127.0.0.1"]
    )
    certificates.write(pair, stopped.folder / "node.pem", stopped.folder / "node.key")
    said = await refused(cluster, stopped)
    assert "signed" in said
    await works(cluster)


async def test_a_node_of_another_authority_is_not_listened_to(
    cluster: Cluster, stopped: NodePlace, tmp_path: Path
) -> None:
    stranger = certificates.create_authority("local")
    pair = certificates.issue_node(
        stranger, cluster="local", node=stopped.id, addresses=["127.0.0.1"]
    )
    certificates.write(pair, stopped.folder / "node.pem", stopped.folder / "node.key")
    (tmp_path / "ca.pem").write_bytes(stranger.certificate_pem)
    rogue = with_settings(
        stopped,
        tmp_path,
        data=str(stopped.data),
        tls={
            "ca": str(tmp_path / "ca.pem"),
            "certificate": str(stopped.folder / "node.pem"),
            "key": str(stopped.folder / "node.key"),
        },
    )
    command = [sys.executable, "-m", "molecule", "serve", "--config", str(rogue.config)]
    mark = local_process.start(command, log=rogue.log, environ=os.environ)
    try:
        before = await cluster.status()
        await works(cluster)

        async def noticed() -> bool | None:
            said = rogue.log.read_text(errors="replace") if rogue.log.exists() else ""
            return True if "ertificate" in said or "CERTIFICATE" in said else None

        await until(noticed, what="a word about certificates in its log", within_s=40)
        after = await cluster.status()
    finally:
        await local_process.stop(mark, grace_s=10)
    assert after["epoch"] == before["epoch"], "a stranger caused an election"
    assert sum(node["up"] for node in after["nodes"]) == 2


async def test_faults_of_a_configuration_are_told_all_at_once(
    cluster: Cluster, stopped: NodePlace, tmp_path: Path
) -> None:
    wrong = with_settings(stopped, tmp_path, slots="many", colour="blue", timing_profile="lazy")
    said = await refused(cluster, wrong)
    assert all(field in said for field in ("slots", "colour", "timing_profile"))
    assert "Traceback" not in said


def with_settings(place: NodePlace, folder: Path, **changes: Any) -> NodePlace:
    """A configuration file elsewhere, equal but for these settings."""
    settings = yaml.safe_load(place.config.read_text())
    for files in ("tls", "http_tls"):
        settings[files] = {
            name: str((place.folder / path).resolve()) for name, path in settings[files].items()
        }
    settings["admin_token_file"] = str((place.folder / settings["admin_token_file"]).resolve())
    changed = NodePlace(place.id, folder / "config", http=place.http, rpc=place.rpc)
    changed.folder.mkdir()
    changed.config.write_text(yaml.safe_dump(settings | changes))
    return changed
