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
        """The admin token."""
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
    ports = free_ports(2 * layout.nodes, first=layout.first_port)
    nodes = tuple(
        NodePlace(
            f"n{number + 1}",
            folder / f"n{number + 1}",
            http=f"{HOST}:{ports[2 * number]}",
            rpc=f"{HOST}:{ports[2 * number + 1]}",
        )
        for number in range(layout.nodes)
    )
    for node in nodes:
        _make_node(node, nodes, layout, authority)
    context = {
        "urls": [node.url for node in nodes],
        "ca": str((folder / "ca.pem").resolve()),
        "token_file": str((folder / "admin-token").resolve()),
    }
    (folder / CONTEXT_FILE).write_text(json.dumps(context, indent=2) + "\n", encoding="utf-8")
    listed = [{"id": node.id, "http": node.http, "rpc": node.rpc} for node in nodes]
    (folder / _NODES_FILE).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return ClusterPlace(folder, nodes)


def load(folder: Path) -> ClusterPlace:
    """The cluster that was made in this folder."""
    listed = json.loads((folder / _NODES_FILE).read_text(encoding="utf-8"))
    nodes = tuple(
        NodePlace(each["id"], folder / each["id"], http=each["http"], rpc=each["rpc"])
        for each in listed
    )
    return ClusterPlace(folder, nodes)


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
        "peers": [{"id": peer.id, "rpc": dialled.get(peer.id, peer.rpc)} for peer in nodes],
        "slots": layout.slots,
        "tls": {"ca": "../ca.pem", "certificate": "node.pem", "key": "node.key"},
        "http_tls": {"ca": "../ca.pem", "certificate": "gateway.pem", "key": "gateway.key"},
        "admin_token_file": "../admin-token.sha256",
        "timing_profile": layout.timing_profile,
    }
    node.config.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
