"""Links between nodes that can be cut: a TCP relay for each direction of dialling.

A cut is what a network does: bytes under way wait, connections stay open, nothing says so. Healing
lets everything go on in order, as retransmission would. Needs no right that users lack.
"""

import asyncio
import contextlib
from collections.abc import Iterable

from molecule.cli.local_files import HOST


class Relay:
    """Takes connections on a port of its own and passes bytes to one address, both ways."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._upstream: tuple[str, int] | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.bytes_passed = 0

    async def listen(self) -> str:
        """Start listening; the address to dial."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"{HOST}:{port}"

    def lead_to(self, address: str) -> None:
        """Where connections go on to."""
        host, _, port = address.rpartition(":")
        self._upstream = host, int(port)

    def cut(self) -> None:
        """Pass nothing more, in either direction, and tell nobody."""
        self._open.clear()

    def heal(self) -> None:
        """Pass what waited, then everything."""
        self._open.set()

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._upstream is None:
            writer.close()
            return
        onward: asyncio.StreamWriter | None = None
        self._writers.add(writer)
        try:
            await self._open.wait()
            back, onward = await asyncio.open_connection(*self._upstream)
            self._writers.add(onward)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, onward))
                group.create_task(self._pass(back, writer))
        except* OSError:
            pass  # either end went away: so does the other
        finally:
            for each in (writer, onward):
                if each is not None:
                    self._writers.discard(each)
                    each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
            self.bytes_passed += len(chunk)
        raise ConnectionResetError


class Links:
    """All relays between the nodes of one cluster: one for each that dials and each dialled."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._nodes = tuple(nodes)
        self._relays: dict[tuple[str, str], Relay] = {}

    async def listen(self) -> dict[str, dict[str, str]]:
        """Start every relay; for each node the addresses under which it dials its peers."""
        dialled: dict[str, dict[str, str]] = {node: {} for node in self._nodes}
        for node in self._nodes:
            for peer in self._nodes:
                if node != peer:
                    relay = self._relays[node, peer] = Relay()
                    dialled[node][peer] = await relay.listen()
        return dialled

    def lead_to(self, addresses: dict[str, str]) -> None:
        """Tell the relays where the nodes really listen."""
        for (_, peer), relay in self._relays.items():
            relay.lead_to(addresses[peer])

    def cut(self, one: str, other: str) -> None:
        """Separate two nodes, whoever dialled."""
        self._relays[one, other].cut()
        self._relays[other, one].cut()

    def isolate(self, node: str) -> None:
        """Separate a node from all others."""
        for other in self._nodes:
            if other != node:
                self.cut(node, other)

    def heal(self) -> None:
        """Undo every cut."""
        for relay in self._relays.values():
            relay.heal()

    def passed(self, one: str, other: str) -> int:
        """Bytes that went between two nodes so far: shows that a cut was one."""
        return self._relays[one, other].bytes_passed + self._relays[other, one].bytes_passed

    async def close(self) -> None:
        """Close every relay."""
        for relay in self._relays.values():
            with contextlib.suppress(OSError):
                await relay.close()
