"""`molecule cluster join`: the files of a newcomer, with certificates that the cluster signed.

What must stay true: nothing secret is sent before the authority's certificate has the fingerprint
that the token names, and private keys never leave this machine.
"""

import hashlib
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from molecule.cli import context, local_files
from molecule.cli.calls import Call, Cluster
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.local_files import NodePlace
from molecule.config import NODE_NAME
from molecule.rpc import signing

_TIMEOUT_S: Final = 10.0
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a token says: the cluster, its authority's fingerprint, and the secret."""

    cluster: str
    fingerprint: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> "JoinToken":
        """Wrong usage when it is no join token."""
        parts = text.strip().split("_", _PARTS - 1)
        if (
            len(parts) != _PARTS
            or parts[0] != "mjt"
            or len(parts[2]) != hashlib.sha256().digest_size * 2
        ):
            raise Failure(
                "this is not a join token",
                then="make one with: molecule cluster token",
                code=ExitCode.WRONG_USAGE,
            )
        return cls(*parts[1:])


def obtain(address: str, token: JoinToken, *, node: NodePlace, folder: Path) -> None:
    """Let the cluster sign for this node and write all its files; `Failure` says what is wrong."""
    if not re.fullmatch(NODE_NAME, node.id):
        raise Failure(
            f"join: {node.id!r} cannot be the name of a node",
            why="a name has lower-case letters, digits and, between them, hyphens; 63 at most",
            then="give another --id",
            code=ExitCode.WRONG_USAGE,
        )
    url = address if address.startswith("https://") else f"https://{address}"
    ca = _authority(url.rstrip("/"), token)
    wanted = {kind: signing.request(node.id) for kind in ("node", "gateway")}
    folder.mkdir(parents=True, exist_ok=True)
    trusted = folder / f".joining-{node.id}.pem"
    trusted.write_text(ca, encoding="ascii")
    body = {
        "cluster": token.cluster,
        "secret": token.secret,
        "node": node.id,
        "addresses": [node.http, node.rpc, "localhost"],
        "node_request": wanted["node"].request_pem.decode(),
        "gateway_request": wanted["gateway"].request_pem.decode(),
    }
    asked = context.Context(url, (url.rstrip("/"),), trusted, None)
    try:
        with Cluster(asked) as cluster:
            told = cluster.ask(
                Call(f"join as {node.id}", "POST", "/api/v1/cluster/join", body=body)
            ).value
    finally:
        trusted.unlink(missing_ok=True)
    keys = {kind: made.key_pem for kind, made in wanted.items()}
    local_files.write_joined(folder, node, told, keys=keys)


def _authority(url: str, token: JoinToken) -> str:
    # Not verified: whoever answers, only the certificate that the token names is believed.
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    try:
        with httpx2.Client(verify=blind, trust_env=False, timeout=_TIMEOUT_S) as client:
            told: Any = client.get(f"{url}/api/v1/cluster/authority").json()
            ca = str(told["ca"])
            cluster = str(told["cluster"])
            found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca)).hexdigest()
    except (httpx2.TransportError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"join: {url} does not answer as a node of a cluster",
            why=str(error) or type(error).__name__,
            then="give the HTTPS address of a node that runs",
        ) from None
    if cluster != token.cluster:
        raise Failure(
            f"join: the token is of cluster {token.cluster!r}, {url} belongs to {cluster!r}",
            then="give the address of a node of the token's cluster",
        )
    if found != token.fingerprint:
        raise Failure(
            f"join: {url} has another authority than the token names",
            why=f"its fingerprint is {found[:16]}…, the token has {token.fingerprint[:16]}…",
            then="do not trust this address, or make a new token on the cluster that you mean",
        )
    return ca
