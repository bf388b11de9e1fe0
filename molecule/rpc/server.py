"""The two servers of a node: for other nodes over mutual TLS, for processes of this machine.

Both carry any generated service. What must stay true: the TCP port never speaks clear text, and the
socket lies in a folder that only this user may enter.
"""

import asyncio
import contextlib
import errno
import hmac
import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc

from molecule.config import Limits
from molecule.model.errors import InvalidConfig, Unauthenticated
from molecule.rpc import options, tls
from molecule.rpc.guard import Guard, OnBroken, Prove, stop_process
from molecule.rpc.identity import Identity
from molecule.rpc.local_channel import NAME_KEY, ROLE_KEY, SECRET_KEY
from molecule.rpc.tls import Admit, LiveCredentials

_SOCKET_PATH_BYTES_MAX: Final = 107
_PROBED_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104

AddServicer = Callable[[Any, Any], None]
"""A generated `add_<Service>Servicer_to_server`."""


class _Server:
    """What both servers share: services are registered, then it starts, then it stops."""

    def __init__(self, limits: Limits, on_broken: OnBroken | None) -> None:
        self._limits = limits
        self._on_broken = on_broken or stop_process
        self._services: list[tuple[AddServicer, object]] = []
        self._server: Any = None

    def register(self, add: AddServicer, servicer: object) -> None:
        """Before `start`: carry a service, given its generated function and its handlers."""
        self._services.append((add, servicer))

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no new calls; open ones may end within the grace, then they are cancelled."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(grace_s)

    def _build(self, prove: Prove) -> Any:
        server = grpc.aio.server(
            interceptors=[Guard(prove, self._on_broken)],
            options=options.server(self._limits),
            maximum_concurrent_rpcs=self._limits.rpc_calls_max,
        )
        for add, servicer in self._services:
            add(servicer, server)
        return server


class PeerServer(_Server):
    """The internal TCP port: nodes of this cluster alone, each known by its certificate."""

    def __init__(
        self,
        address: str,
        credentials: LiveCredentials,
        *,
        limits: Limits,
        admit: Admit = tls.everybody,
        setting: str = "rpc",
        on_broken: OnBroken | None = None,
    ) -> None:
        super().__init__(limits, on_broken)
        self._address = address
        self._credentials = credentials
        self._admit = admit
        self._setting = setting
        self.port = 0

    async def start(self) -> None:
        """Listen, then check the port from outside; `InvalidConfig` names port and setting."""
        cluster = self._credentials.current.identity.cluster
        server = self._build(partial(tls.proved, cluster=cluster, admit=self._admit))
        try:
            self.port = server.add_secure_port(self._address, self._credentials.for_server())
        except RuntimeError as error:
            raise await asyncio.to_thread(self._not_bound) from error
        await server.start()
        self._server = server
        host = split_address(self._address)[0]
        await tls.probe(_PROBED_EVERYWHERE.get(host, host), self.port)

    def _not_bound(self) -> InvalidConfig:
        # The library only says that it failed. A plain socket is told why.
        host, port = split_address(self._address)
        why = "the address cannot be used"
        try:
            family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                plain.bind(place)
        except socket.gaierror as error:
            why = f"{host!r} is not a host of this machine ({error.strerror})"
        except OSError as error:
            why = (
                f"port {port} is in use by another process"
                if error.errno == errno.EADDRINUSE
                else f"{error.strerror}"
            )
        return InvalidConfig(
            f"cannot listen on {self._address}: {why}; change the setting `{self._setting}` or "
            f"stop the process that has it",
            setting=self._setting,
            address=self._address,
        )


class LocalServer(_Server):
    """The unix socket for this node's gateway, workers and supervisor.

    Two locks: the folder lets in this user's processes only, the secret of this start only those
    that the supervisor started. (The library gives handlers no peer credentials of a socket.) The
    role and the name are what such a process says of itself: they route and log, they are no right.
    """

    def __init__(
        self, path: Path, *, secret: str, limits: Limits, on_broken: OnBroken | None = None
    ) -> None:
        super().__init__(limits, on_broken)
        self._path = path
        self._secret = secret.encode()

    async def start(self) -> None:
        """Listen; `InvalidConfig` when the path is too long, taken, or in a folder of others."""
        await asyncio.to_thread(_prepare, self._path)
        server = self._build(self._proved)
        try:
            server.add_insecure_port(f"unix:{self._path}")
        except RuntimeError as error:
            raise InvalidConfig(f"cannot listen on {self._path}: {error}") from error
        await server.start()
        self._server = server

    async def stop(self, grace_s: float = 0.0) -> None:
        """As for every server, and the socket is removed."""
        was_running = self._server is not None
        await super().stop(grace_s)
        if was_running:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._path.unlink, missing_ok=True)

    def _proved(self, context: Any) -> Identity:
        told = {
            key: value for key, value in context.invocation_metadata() if isinstance(value, str)
        }
        if not hmac.compare_digest(told.get(SECRET_KEY, "").encode(), self._secret):
            raise Unauthenticated("the secret of this node's local socket is missing or wrong")
        return Identity("", told.get(ROLE_KEY, ""), told.get(NAME_KEY, ""))


def _make_private(folder: Path) -> None:
    """Make the folder, or check that it is this user's alone; `InvalidConfig` when it is not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise InvalidConfig(f"{folder} cannot hold the local sockets: {error.strerror}") from error
    # Somebody else may have made it first, in /tmp say, to listen in our place.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise InvalidConfig(f"{folder} must be a folder of this user to hold the local sockets")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise InvalidConfig(f"{folder} must not be open to others: set its mode to 0700")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[host]:port`; `InvalidConfig` for anything else."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidConfig(f"{address!r} is not host:port", address=address)
    return host.strip("[]"), int(port)


def _prepare(path: Path) -> None:
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
        raise InvalidConfig(
            f"{path} is longer than {_SOCKET_PATH_BYTES_MAX} bytes, the longest name that a unix "
            f"socket can have; use a shorter folder",
            path=str(path),
        )
    _make_private(path.parent)
    if not path.exists():
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as plain:
        plain.connect(os.fspath(path))
        raise InvalidConfig(f"{path} is in use by another process", path=str(path))
    path.unlink(missing_ok=True)
