"""The command line against a gateway over real TLS."""

import asyncio
import json
from pathlib import Path

import pytest

from molecule.cli import context
from molecule.cli.calls import Call, Cluster
from molecule.cli.failures import Failure
from molecule.rpc import certificates
from tests.adapters.gateway.conftest import Authority
from tests.fakes.door import TOKEN, FakeDoor

CALL = Call("show the cluster", "GET", "/api/v1/cluster")


def _ask(folder: Path) -> object:
    with Cluster(context.load(folder / "context.json")) as cluster:
        return cluster.ask(CALL).value


def _context(folder: Path, *ports: int, ca: str) -> None:
    (folder / "token").write_text(TOKEN)
    told = {
        "urls": [f"https://127.0.0.1:{port}" for port in ports],
        "ca": ca,
        "token_file": "token",
    }
    (folder / "context.json").write_text(json.dumps(told))


async def test_cli_trusts_the_authority_and_passes_over_a_silent_node(
    port: int, free_port: int, authority: Authority, door: FakeDoor, tmp_path: Path
) -> None:
    door.resources["cluster"] = {"leader": "n1"}
    _context(tmp_path, free_port, port, ca=authority.files.ca)

    assert await asyncio.to_thread(_ask, tmp_path) == {"leader": "n1"}


async def test_cli_refuses_a_node_of_another_authority(port: int, tmp_path: Path) -> None:
    other = certificates.create_authority("other")
    certificates.write(other, tmp_path / "ca.pem", tmp_path / "ca.key")
    _context(tmp_path, port, ca="ca.pem")

    with pytest.raises(Failure) as refused:
        await asyncio.to_thread(_ask, tmp_path)

    assert refused.value.what == "show the cluster: no node answers"
    assert "CERTIFICATE_VERIFY_FAILED" in refused.value.why
    assert refused.value.then == (
        f"mend `ca` in {tmp_path}/context.json: another authority signed these nodes"
    )


async def test_cli_names_an_authority_that_is_missing(port: int, tmp_path: Path) -> None:
    _context(tmp_path, port, ca="no.pem")

    with pytest.raises(Failure) as refused:
        await asyncio.to_thread(_ask, tmp_path)

    assert refused.value.text() == (
        f"error: the authority's certificate {tmp_path}/no.pem cannot be used\n"
        "  why:  No such file or directory\n"
        f"  next: mend `ca` in {tmp_path}/context.json"
    )
