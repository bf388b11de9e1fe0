"""The folder of a local cluster is complete, private and kept."""

import hashlib
import json
import ssl
from pathlib import Path

import pytest
import yaml

from molecule.cli import local_files
from molecule.cli.local import LocalCluster, LocalError
from molecule.cli.local_files import Layout
from molecule.cli.serve import node_config
from molecule.config import NodeConfig


def config_of(folder: Path, node: str) -> NodeConfig:
    path = folder / node / "config.yaml"
    return node_config(yaml.safe_load(path.read_text()), {}, source=str(path))


def test_every_node_gets_a_valid_configuration(tmp_path: Path) -> None:
    place = local_files.make(tmp_path, Layout(nodes=3))
    configs = [config_of(tmp_path, node.id) for node in place.nodes]
    assert [config.id for config in configs] == ["n1", "n2", "n3"]
    assert {config.voters for config in configs} == {("n1", "n2", "n3")}
    ports = {config.rpc for config in configs} | {config.http for config in configs}
    assert len(ports) == 6


def test_keys_and_token_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    local_files.make(tmp_path, Layout(nodes=1))
    secrets = ["ca.key", "admin-token", "n1/node.key", "n1/gateway.key"]
    assert [(tmp_path / name).stat().st_mode & 0o077 for name in secrets] == [0, 0, 0, 0]


def test_nodes_know_only_the_digest_of_the_token(tmp_path: Path) -> None:
    place = local_files.make(tmp_path, Layout(nodes=1))
    kept = (tmp_path / "admin-token.sha256").read_text()
    assert kept == hashlib.sha256(place.token.encode()).hexdigest()


def test_the_context_names_addresses_authority_and_token(tmp_path: Path) -> None:
    place = local_files.make(tmp_path, Layout(nodes=3))
    context = json.loads((tmp_path / "context.json").read_text())
    assert context["urls"] == [node.url for node in place.nodes]
    assert Path(context["token_file"]).read_text().strip() == place.token
    assert ssl.create_default_context(cafile=context["ca"]).get_ca_certs()


def test_the_cluster_is_found_again(tmp_path: Path) -> None:
    assert local_files.make(tmp_path, Layout(nodes=3)) == local_files.load(tmp_path)


def test_a_peer_can_be_dialled_by_another_address(tmp_path: Path) -> None:
    local_files.make(tmp_path, Layout(nodes=3, peers={"n1": {"n2": "127.0.0.1:1"}}))
    dialled = {peer.id: peer.rpc for peer in config_of(tmp_path, "n1").peers}
    others = {peer.id: peer.rpc for peer in config_of(tmp_path, "n3").peers}
    assert dialled["n2"] == "127.0.0.1:1"
    assert others["n2"] == config_of(tmp_path, "n2").rpc


def test_a_folder_without_a_cluster_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="molecule up"):
        LocalCluster.at(tmp_path)


def test_ports_are_counted_from_the_first(tmp_path: Path) -> None:
    place = local_files.make(tmp_path, Layout(nodes=2, first_port=17_400))
    assert [node.http for node in place.nodes] == ["127.0.0.1:17400", "127.0.0.1:17402"]


def test_a_newcomer_gets_a_name_that_no_folder_has(tmp_path: Path) -> None:
    made = local_files.make(tmp_path, Layout(nodes=3))
    local_files.forget(made.folder, "n1")
    assert [node.id for node in local_files.load(tmp_path).nodes] == ["n2", "n3"]
    place = local_files.next_node(tmp_path, node="", host="127.0.0.1", first_port=None)
    assert place.id == "n4"
    with pytest.raises(ValueError, match="n2 is there already"):
        local_files.next_node(tmp_path, node="n2", host="127.0.0.1", first_port=None)


def test_worker_nodes_dial_the_voters_and_are_no_address_for_callers(tmp_path: Path) -> None:
    made = local_files.make(tmp_path, Layout(nodes=1, worker_nodes=1))
    settings = yaml.safe_load(made.nodes[1].config.read_text())
    assert (settings["role"], [peer["id"] for peer in settings["peers"]]) == ("worker", ["n1"])
    assert "ca_key" not in settings
    context = json.loads((tmp_path / "context.json").read_text())
    assert context["urls"] == [made.nodes[0].url]
    assert [node.role for node in local_files.load(tmp_path).nodes] == ["voter", "worker"]
