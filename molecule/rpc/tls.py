"""Mutual TLS 1.3 for gRPC: the live certificate of this node, and the checks of the other side's.

Certificates are replaced while servers run; open streams live on. What must stay true: a call
without a verified member of this cluster at its other end reaches no handler, and neither does one
over an older TLS.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

import grpc

from molecule.model.errors import Forbidden, InvalidConfig
from molecule.rpc import identity as identities
from molecule.rpc.certificates import Credentials
from molecule.rpc.identity import Identity

_PROBE_S: Final = 5.0
_VERSION: Final = b"TLSv1.3"

Admit = Callable[[Identity], str | None]
"""Why a member may not call, or None. Asked at every call, so it must be cheap."""


def everybody(_: Identity) -> str | None:
    """Admit every member that the authority signed."""
    return None


class LiveCredentials:
    """What this node shows and trusts now. Mutable: `replace` changes it, from any thread."""

    def __init__(self, credentials: Credentials) -> None:
        self._lock = threading.Lock()
        self._current = credentials

    @property
    def current(self) -> Credentials:
        """The newest material."""
        with self._lock:
            return self._current

    def replace(self, credentials: Credentials) -> None:
        """From now on handshakes use these; connections that exist stay."""
        if credentials.identity != self.current.identity:
            raise InvalidConfig(
                f"the new certificate is of {credentials.identity.uri}, this node is "
                f"{self.current.identity.uri}"
            )
        with self._lock:
            self._current = credentials

    def for_server(self) -> Any:
        """Server credentials that follow every `replace` and demand a certificate of clients."""
        shown = self.current

        # Called by a thread of the library at every handshake: it must answer from memory.
        def changed() -> Any:
            nonlocal shown
            current = self.current
            if current is shown:
                return None
            shown = current
            return _server_configuration(current)

        return grpc.dynamic_ssl_server_credentials(
            _server_configuration(shown), changed, require_client_authentication=True
        )

    def for_channel(self) -> Any:
        """Credentials for a new channel; a channel that exists keeps the ones it was made with."""
        current = self.current
        return grpc.ssl_channel_credentials(
            current.ca_pem, current.key_pem, current.certificate_pem
        )


def _server_configuration(credentials: Credentials) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(credentials.key_pem, credentials.certificate_pem)], root_certificates=credentials.ca_pem
    )


def proved(context: Any, *, cluster: str, admit: Admit) -> Identity:
    """The member at the other end of this call; `Forbidden` with the reason for everybody else."""
    told = context.auth_context()
    version = _only(told.get("ssl_tls_version"))
    if version != _VERSION:
        raise Forbidden(f"the connection uses {version.decode() or 'no TLS'}, TLS 1.3 is needed")
    found = identities.parse(_only(told.get("peer_spiffe_id")).decode(errors="replace"))
    if found.cluster != cluster:
        raise Forbidden(f"{found.uri} is no member of cluster {cluster!r}")
    if found.role != identities.NODE:
        raise Forbidden(f"{found.uri} is no node")
    if (reason := admit(found)) is not None:
        raise Forbidden(f"{found.uri} was refused: {reason}")
    return found


def _only(values: Any) -> bytes:
    found = list(values or ())
    return bytes(found[0]) if len(found) == 1 else b""


async def probe(host: str, port: int) -> None:
    """Ask our own server for TLS 1.2 and 1.3; `InvalidConfig` unless it has only the newer.

    The only setting for this is read once by the library, so a use of it before this package was
    imported would go unnoticed otherwise.
    """
    old, new = await asyncio.gather(
        asyncio.to_thread(_handshake, host, port, ssl.TLSVersion.TLSv1_2),
        asyncio.to_thread(_handshake, host, port, ssl.TLSVersion.TLSv1_3),
    )
    if old or not new:
        raise InvalidConfig(
            f"the internal port {port} {'accepts TLS 1.2' if old else 'does not speak TLS 1.3'}: "
            f"grpc was used before molecule.rpc, or another program answers here",
            port=port,
        )


def _handshake(host: str, port: int, version: ssl.TLSVersion) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    with (
        contextlib.suppress(OSError, ssl.SSLError),
        socket.create_connection((host, port), timeout=_PROBE_S) as plain,
        context.wrap_socket(plain),
    ):
        return True
    return False
