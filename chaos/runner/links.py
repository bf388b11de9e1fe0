"""Links between nodes that can be cut: a TCP relay for each direction of dialling.

A cut is what a network does: bytes under way wait, connections stay open, nothing says so. Healing
lets everything go on in order, as retransmission would. Needs no right that users lack.

The relays have a thread and a loop of their own: the loop of the tests stands still between two
tests of the cluster, and nodes that hear nothing of each other meanwhile hold elections and dial
again and again.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from molecule.cli.local_files import HOST


class Relay:
    """Takes connections on a port of its own and passes bytes to one address, both ways."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._upstream: tuple[str, int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.bytes_passed = 0
        self.bytes_held = 0
        """Of what arrived while the link was cut."""
        self.callers_held = 0
        """Connections that were dialled while the link was cut."""

    def listen(self) -> str:
        """Start listening; the address to dial."""
        self._listening = socket.create_server((HOST, 0))
        self._listening.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listening, self._take)
        return f"{HOST}:{self._listening.getsockname()[1]}"

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
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        await _turns()  # whoever was just taken is served, so that it is closed
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _turns()  # what is closed lets go of its socket a turn later

    def _take(self) -> None:
        """Take one caller. A server of the library loses those that it is taking when it closes."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            caller, _ = self._listening.accept()
            task = asyncio.get_running_loop().create_task(self._serve(caller))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, caller: socket.socket) -> None:
        if self._upstream is None:
            caller.close()
            return
        reader, writer = await asyncio.open_connection(sock=caller)
        onward: asyncio.StreamWriter | None = None
        try:
            if not self._open.is_set():
                self.callers_held += 1
            await self._open.wait()
            back, onward = await asyncio.open_connection(*self._upstream)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, onward))
                group.create_task(self._pass(back, writer))
        except* OSError:
            pass  # either end went away: so does the other
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            if not self._open.is_set():
                self.bytes_held += len(chunk)
            await self._open.wait()
            self.bytes_passed += len(chunk)
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError


class Links:
    """All relays between the nodes of one cluster: one for each that dials and each dialled."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._nodes = tuple(nodes)
        self._relays: dict[tuple[str, str], Relay] = {}
        self._dialled: Future[dict[str, dict[str, str]]] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="links")

    async def listen(self) -> dict[str, dict[str, str]]:
        """Start every relay; for each node the addresses under which it dials its peers."""
        self._thread.start()
        return await asyncio.wrap_future(self._dialled)

    def lead_to(self, addresses: dict[str, str]) -> None:
        """Tell the relays where the nodes really listen."""
        for (_, peer), relay in self._relays.items():
            relay.lead_to(addresses[peer])

    def cut(self, one: str, other: str) -> None:
        """Separate two nodes, whoever dialled."""
        self._in_loop(self._relays[one, other].cut, self._relays[other, one].cut)

    def heal_link(self, one: str, other: str) -> None:
        """Join two nodes again, whoever dialled."""
        self._in_loop(self._relays[one, other].heal, self._relays[other, one].heal)

    def isolate(self, node: str) -> None:
        """Separate a node from all others."""
        for other in self._nodes:
            if other != node:
                self.cut(node, other)

    def heal(self) -> None:
        """Undo every cut."""
        self._in_loop(*(relay.heal for relay in self._relays.values()))

    def passed(self, one: str, other: str) -> int:
        """Bytes that went between two nodes so far: shows that a cut was one."""
        return self._relays[one, other].bytes_passed + self._relays[other, one].bytes_passed

    def held(self, one: str, other: str) -> int:
        """Bytes and callers that a cut between two nodes stopped: shows that it hit something."""
        relays = self._relays[one, other], self._relays[other, one]
        return sum(relay.bytes_held + relay.callers_held for relay in relays)

    async def close(self) -> None:
        """Close every relay and drop all connections."""
        if self._thread.is_alive():
            self._in_loop(self._is_over.set)
            await asyncio.to_thread(self._thread.join)

    def _in_loop(self, *deeds: Callable[[], None]) -> None:
        """Do this in the loop of the relays; returns when it is done."""
        assert self._loop is not None
        done: Future[None] = Future()

        def do() -> None:
            for deed in deeds:
                deed()
            done.set_result(None)

        self._loop.call_soon_threadsafe(do)
        done.result(timeout=30)

    def _run(self) -> None:
        asyncio.run(self._relay())

    async def _relay(self) -> None:
        self._loop = asyncio.get_running_loop()
        dialled: dict[str, dict[str, str]] = {node: {} for node in self._nodes}
        for node in self._nodes:
            for peer in self._nodes:
                if node != peer:
                    relay = self._relays[node, peer] = Relay()
                    dialled[node][peer] = relay.listen()
        self._dialled.set_result(dialled)
        await self._is_over.wait()
        for relay in self._relays.values():
            await relay.close()


async def _turns(count: int = 5) -> None:
    """Let the loop go on with what it has begun."""
    for _ in range(count):
        await asyncio.sleep(0)
