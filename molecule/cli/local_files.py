"""The folder of a local cluster: authority, certificates, admin token, one configuration per node.

Everything is made once and kept, so that `down` and `up` again give the same cluster with its data.
What must stay true: keys and the token are readable by their owner alone.
"""

import hashlib
import json
import os
import secrets
import socket
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from molecule.rpc import certificates
from molecule.rpc.certificates import KeyPair

HOST: Final = "127.0.0.1"
CONTEXT_FILE: Final = "context.json"
_NODES_FILE: Final = "cluster.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a new local cluster should look like."""

    nodes: int = 3
    worker_nodes: int = 0
    cluster: str = "local"
    first_port: int | None = None
    timing_profile: str = "normal"
    slots: int = 128
    peers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Instead of the real address: where a node dials a peer. For tests that sit in between."""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where one node lives."""

    id: str
    folder: Path
    http: str
    rpc: str
    role: str = "voter"
    """A worker node listens nowhere: `http` and `rpc` are not used."""

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "config.yaml"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Where its processes write."""
        return self.folder / "log.jsonl"

    @property
    def url(self) -> str:
        """Its HTTPS address."""
        return f"https://{self.http}"


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A folder that holds a local cluster."""

    folder: Path
    nodes: tuple[NodePlace, ...]

    @property
    def ca(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "ca.pem"

    @property
    def token(self) -> str:
        """The admin token; empty when it is not kept here."""
        if not (self.folder / "admin-token").exists():
            return ""
        return (self.folder / "admin-token").read_text(encoding="ascii").strip()


def exists(folder: Path) -> bool:
    """True when a cluster was made here."""
    return (folder / _NODES_FILE).is_file()


def make(folder: Path, layout: Layout) -> ClusterPlace:
    """Make all files of a new cluster. The file that `exists` looks for comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = certificates.create_authority(layout.cluster)
    certificates.write(authority, folder / "ca.pem", folder / "ca.key")
    token = new_token()
    _write_private(folder / "admin-token", f"{token}\n")
    _write_private(folder / "admin-token.sha256", hashlib.sha256(token.encode()).hexdigest())
    count = layout.nodes + layout.worker_nodes
    ports = free_ports(2 * count, first=layout.first_port)
    nodes = tuple(
        NodePlace(
            f"n{number + 1}",
            folder / f"n{number + 1}",
            http=f"{HOST}:{ports[2 * number]}",
            rpc=f"{HOST}:{ports[2 * number + 1]}",
            role="voter" if number < layout.nodes else "worker",
        )
        for number in range(count)
    )
    for node in nodes:
        _make_node(node, nodes, layout, authority)
    _write_list(folder, nodes)
    return ClusterPlace(folder, nodes)


def load(folder: Path) -> ClusterPlace:
    """The cluster that was made in this folder."""
    listed = json.loads((folder / _NODES_FILE).read_text(encoding="utf-8"))
    nodes = tuple(
        NodePlace(
            each["id"],
            folder / each["id"],
            http=each["http"],
            rpc=each["rpc"],
            role=each.get("role", "voter"),
        )
        for each in listed
    )
    return ClusterPlace(folder, nodes)


def next_node(folder: Path, *, node: str, host: str, first_port: int | None) -> NodePlace:
    """Where a newcomer will live in this folder; `ValueError` when its name is taken there."""
    known = [each.id for each in load(folder).nodes] if exists(folder) else []
    # The folder of a node that left may still be there.
    free = (f"n{number}" for number in range(1, 10_000))
    name = node or next(one for one in free if one not in known and not (folder / one).exists())
    if name in known or (folder / name).exists():
        message = f"{folder / name} is there already"
        raise ValueError(message)
    http, rpc = free_ports(2, first=first_port)
    return NodePlace(name, folder / name, http=f"{host}:{http}", rpc=f"{host}:{rpc}")


def write_joined(
    folder: Path, node: NodePlace, told: Mapping[str, Any], *, keys: Mapping[str, bytes]
) -> None:
    """All files of a node that the cluster let in, and its line in the list of this folder."""
    node.folder.mkdir(parents=True)
    node.folder.chmod(0o700)
    (node.folder / "ca.pem").write_text(told["ca"], encoding="ascii")
    for kind, name in (("node", "node"), ("gateway", "gateway")):
        pair = KeyPair(told[f"{kind}_certificate"].encode(), keys[kind])
        certificates.write(pair, node.folder / f"{name}.pem", node.folder / f"{name}.key")
    _write_private(node.folder / "admin-token.sha256", told["admin_token_digest"])
    settings: dict[str, Any] = {
        "cluster": told["cluster"],
        "id": node.id,
        "data": "data",
        "rpc": node.rpc,
        "http": node.http,
        **({"role": "worker"} if told["role"] == "worker" else {"join": True}),
        "peers": told["peers"],
        "tls": {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"},
        "http_tls": {"ca": "ca.pem", "certificate": "gateway.pem", "key": "gateway.key"},
        "admin_token_file": "admin-token.sha256",
        "timing_profile": told["timing_profile"],
    }
    if (folder / "ca.key").exists() and told["role"] == "voter":
        settings["ca_key"] = "../ca.key"
    node.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    nodes = (*(load(folder).nodes if exists(folder) else ()), node)
    if not (folder / "ca.pem").exists():
        (folder / "ca.pem").write_text(told["ca"], encoding="ascii")
    _write_list(folder, nodes)


def forget(folder: Path, node: str) -> None:
    """Take a node out of the list of this folder; its files stay."""
    _write_list(folder, tuple(each for each in load(folder).nodes if each.id != node))


def _write_list(folder: Path, nodes: Sequence[NodePlace]) -> None:
    token = folder / "admin-token"
    told = _kept_of_context(folder / CONTEXT_FILE)
    told["urls"] = [node.url for node in nodes if node.role == "voter"]
    told["ca"] = str((folder / "ca.pem").resolve())
    if token.exists():
        told["token_file"] = str(token.resolve())
    (folder / CONTEXT_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    listed = [
        {"id": node.id, "http": node.http, "rpc": node.rpc, "role": node.role} for node in nodes
    ]
    (folder / _NODES_FILE).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def _kept_of_context(path: Path) -> dict[str, Any]:
    """What people added to a context, `production` above all, outlives a change of members."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def new_token() -> str:
    """A fresh admin token; its last part is a checksum, by which a cut or mistyped one shows."""
    body = secrets.token_urlsafe(32)
    return f"mol_{body}_{zlib.crc32(body.encode()):08x}"


def free_ports(count: int, *, first: int | None) -> list[int]:
    """Ports that nobody listens on: counted from `first`, or wherever the system has some."""
    if first is not None:
        return list(range(first, first + count))
    held = []
    try:
        for _ in range(count):
            listener = socket.socket()
            held.append(listener)
            listener.bind((HOST, 0))
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()


def _make_node(
    node: NodePlace,
    nodes: Sequence[NodePlace],
    layout: Layout,
    authority: KeyPair,
) -> None:
    node.folder.mkdir(exist_ok=True)
    member = certificates.issue_node(
        authority, cluster=layout.cluster, node=node.id, addresses=[HOST, "localhost"]
    )
    certificates.write(member, node.folder / "node.pem", node.folder / "node.key")
    front = certificates.issue_gateway(
        authority, cluster=layout.cluster, name=node.id, addresses=[HOST, "localhost"]
    )
    certificates.write(front, node.folder / "gateway.pem", node.folder / "gateway.key")
    dialled = layout.peers.get(node.id, {})
    settings: dict[str, Any] = {
        "cluster": layout.cluster,
        "id": node.id,
        "data": "data",
        "rpc": node.rpc,
        "http": node.http,
        "peers": [
            {"id": peer.id, "rpc": dialled.get(peer.id, peer.rpc)}
            for peer in nodes
            if peer.role == "voter"
        ],
        "slots": layout.slots,
        "tls": {"ca": "../ca.pem", "certificate": "node.pem", "key": "node.key"},
        "http_tls": {"ca": "../ca.pem", "certificate": "gateway.pem", "key": "gateway.key"},
        "ca_key": "../ca.key",
        "admin_token_file": "../admin-token.sha256",
        "timing_profile": layout.timing_profile,
    }
    if node.role == "worker":
        settings["role"] = "worker"
        del settings["ca_key"]
    node.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
