"""Opened processes and their clients, kept while they are used often.

The node process puts packages before it orders anything that needs them. What must stay true: an
execution gets the environment settings that were current when it was delivered.
"""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from molecule.component.contract import Connector
from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition import package as packages
from molecule.definition.built import RunnableProcess
from molecule.model.errors import InvalidConfig, NotFound
from molecule.model.gate import NO_GATE, GatePolicy

_log = structlog.get_logger(__name__)

_OPENED_MAX: Final = 64
_CONTENTS_MAX: Final = 256
_ENVIRONMENT: Final = "environment:"


def credential(reference: str) -> str:
    """The secret behind `env:NAME` or `file:PATH`. The only place that reads secrets."""
    kind, _, name = reference.partition(":")
    if kind == "env" and name in os.environ:
        return os.environ[name]
    if kind == "file":
        try:
            return Path(name).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise InvalidConfig(f"the credential {reference}: {error.strerror}") from None
    raise InvalidConfig(f"the credential {reference} does not exist on this node")


@dataclass(slots=True, eq=False)
class Opened:
    """A process opened for an environment, with the clients of its connections."""

    process: RunnableProcess
    resolve: Callable[[str], str] = credential
    _clients: dict[str, Connector] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    """Executions and triggers that have it; its clients are theirs."""

    @property
    def has_clients(self) -> bool:
        """True when there is something to close."""
        return bool(self._clients)

    def gate(self, connection: str | None) -> GatePolicy:
        """What a call through this connection has to ask for."""
        known = self.process.connections.get(connection) if connection else None
        return known.gate if known is not None else NO_GATE

    async def client(self, connection: str | None) -> Any:
        """The opened client of a connection, one for all its users; None for no connection."""
        if connection is None:
            return None
        if (known := self._clients.get(connection)) is not None:
            return known
        async with self._opening:
            if (known := self._clients.get(connection)) is not None:
                return known
            client = self.process.connections[connection].client(self.resolve)
            await client.open()
            self._clients[connection] = client
            return client

    async def close(self) -> None:
        """Close every client."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()


class Packages:
    """Contents by name and processes opened from them; the least used are let go.

    The clients of one that was let go are closed when its last user is gone.
    """

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._opened: OrderedDict[tuple[str, str], Opened] = OrderedDict()
        self._let_go: list[Opened] = []

    def put(self, name: str, content: bytes) -> None:
        """Keep a version's package, or the settings of `environment:NAME`, newest wins."""
        self._contents[name] = content
        self._contents.move_to_end(name)
        while len(self._contents) > _CONTENTS_MAX:
            self._contents.popitem(last=False)

    def open(self, version: str, environment: str) -> Opened:
        """The process, opened once. Raises `NotFound` or what `open_package` refuses."""
        settings = self._content(_ENVIRONMENT + environment)
        key = (version, hashlib.sha256(settings).hexdigest())
        found = self._opened.get(key)
        if found is None:
            content = self._content(version)
            found = Opened(packages.open_package(content, settings, self._registry, self._limits))
            self._opened[key] = found
            while len(self._opened) > _OPENED_MAX:
                gone = self._opened.popitem(last=False)[1]
                if gone.users or gone.has_clients:
                    self._let_go.append(gone)
        self._opened.move_to_end(key)
        return found

    @contextmanager
    def using(self, version: str, environment: str) -> Iterator[Opened]:
        """As `open`, for whoever needs its clients: they stay open as long as this lasts."""
        opened = self.open(version, environment)
        opened.users += 1
        try:
            yield opened
        finally:
            opened.users -= 1

    async def close(self) -> None:
        """Close every client of every process."""
        for opened in [*self._let_go, *self._opened.values()]:
            await opened.close()

    async def close_unused(self) -> None:
        """Close the clients of what was let go and is used no more; to be called now and then."""
        for opened in [opened for opened in self._let_go if not opened.users]:
            try:
                await opened.close()
            except Exception:  # noqa: BLE001
                # A named boundary: foreign code, and nobody waits for anything of it any more.
                _log.exception("client_not_closed", process=opened.process.definition.name)
            self._let_go.remove(opened)

    def _content(self, name: str) -> bytes:
        try:
            self._contents.move_to_end(name)
            return self._contents[name]
        except KeyError:
            raise NotFound(f"{name} was not given to this worker") from None
