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
from molecule.config import NodeConfig, node_config


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
