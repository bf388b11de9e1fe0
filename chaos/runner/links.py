"""Links between nodes that can be cut or slowed: a TCP relay for each direction of dialling.

A cut is what a network does: bytes under way wait, connections stay open, nothing says so. Healing
lets everything go on in order, as retransmission would. Needs no right that users lack.

The relays have a thread and a loop of their own: the loop of the tests stands still between two
tests of the cluster, and nodes that hear nothing of each other meanwhile hold elections and dial
again and again.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Final

from molecule.cli.local_files import HOST

_CHUNK_BYTES: Final = 65_536
_TURN_S: Final = 0.05
"""Of a narrow way one connection takes no more at once."""
_UNDER_WAY_MAX: Final = 256
"""Chunks of one connection that are late; whoever sends more waits, as for a full window."""


class Way:
    """One direction of a relay: whether it carries anything, how late and how much."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Event()
        self._rng = random.Random()  # its own: the relays run beside tests that count on the other
        self._delay_s = (0.0, 0.0)
        self._bytes_per_s = 0.0
        self._free_at_s = 0.0
        self.bytes_passed = 0
        self.bytes_held = 0
        """Of what arrived while it was cut."""
        self.late_s = 0.0
        """The sum over all that waited because it was slow."""

    @property
    def is_open(self) -> bool:
        """Whether it carries anything."""
        return self._open.is_set()

    def cut(self) -> None:
        """Pass nothing more, and tell nobody."""
        self._open.clear()

    def heal(self) -> None:
        """Pass what waited, then everything."""
        self._open.set()

    def slow(self, *, delay_s: tuple[float, float] = (0.0, 0.0), bytes_per_s: float = 0.0) -> None:
        """Pass everything this much later, drawn between two bounds, and only so much; 0: all."""
        self._delay_s = delay_s
        self._bytes_per_s = bytes_per_s
        self._free_at_s = 0.0
        self._changed.set()
        self._changed = asyncio.Event()

    async def opened(self) -> None:
        """Wait until it carries."""
        await self._open.wait()

    @property
    def piece_bytes(self) -> int:
        """How much to pass at once: little where little passes, so that others get their turn."""
        return max(1, int(self._bytes_per_s * _TURN_S)) if self._bytes_per_s else _CHUNK_BYTES

    def due_s(self, now_s: float) -> float:
        """When what arrives now may go on at the earliest."""
        return now_s + self._rng.uniform(*self._delay_s)

    async def pass_by(self, size_bytes: int, due_s: float) -> None:
        """Wait until so many bytes are due and have their room; no longer than it stays slow."""
        began_s = now_s = asyncio.get_running_loop().time()
        if self._bytes_per_s:
            # All connections share what the way can carry.
            self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._bytes_per_s
            due_s = max(due_s, self._free_at_s)
        if due_s > now_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._changed.wait()
            self.late_s += asyncio.get_running_loop().time() - began_s


class Relay:
    """Takes connections on a port of its own and passes bytes to one address, both ways."""

    def __init__(self) -> None:
        self.there = Way()
        """From the caller on."""
        self.back = Way()
        self._upstream: tuple[str, int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self.callers_held = 0
        """Connections that were dialled while the link was cut."""
        self.connections_reset = 0

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
        self.there.cut()
        self.back.cut()

    def heal(self) -> None:
        """Pass what waited, then everything."""
        self.there.heal()
        self.back.heal()

    def reset(self) -> None:
        """Break every connection, as a machine on the way does that forgot them all."""
        self.connections_reset += len(self._connections)
        for end in itertools.chain(*self._connections):
            # Without lingering the kernel says so to the other end at once.
            end.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            end.transport.abort()

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
            if not (self.there.is_open and self.back.is_open):
                self.callers_held += 1
            # Whoever dials needs an answer.
            await self.there.opened()
            await self.back.opened()
            back, onward = await asyncio.open_connection(*self._upstream)
            self._connections.add((writer, onward))
            async with asyncio.TaskGroup() as group:
                group.create_task(_carry(reader, onward, self.there))
                group.create_task(_carry(back, writer, self.back))
        except* OSError:
            pass  # either end went away: so does the other
        finally:
            writer.close()
            if onward is not None:
                self._connections.discard((writer, onward))
                onward.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Pass bytes on in their order, each when it is due; `ConnectionResetError` behind the last."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY_MAX)

    async def arrive() -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await under_way.put((way.due_s(loop.time()), chunk))
        await under_way.put((0.0, b""))

    async def leave() -> None:
        while True:
            due_s, chunk = await under_way.get()
            if not chunk:
                raise ConnectionResetError
            while chunk:
                piece, chunk = chunk[: way.piece_bytes], chunk[way.piece_bytes :]
                await way.pass_by(len(piece), due_s)
                if not way.is_open:
                    way.bytes_held += len(piece)
                await way.opened()
                way.bytes_passed += len(piece)
                writer.write(piece)
                await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(arrive())
        group.create_task(leave())


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

    def cut_way(self, source: str, target: str) -> None:
        """Let nothing that `source` says reach `target`, whoever dialled."""
        self._in_loop(*(way.cut for way in self._ways(source, target)))

    def heal_way(self, source: str, target: str) -> None:
        """Let it reach it again, after what waited."""
        self._in_loop(*(way.heal for way in self._ways(source, target)))

    def slow(
        self,
        one: str,
        other: str,
        *,
        delay_s: tuple[float, float] = (0.0, 0.0),
        bytes_per_s: float = 0.0,
    ) -> None:
        """As `Way.slow`, both ways; without bounds: as before."""
        for way in (*self._ways(one, other), *self._ways(other, one)):
            self._in_loop(partial(way.slow, delay_s=delay_s, bytes_per_s=bytes_per_s))

    def reset(self, one: str, other: str) -> None:
        """Break every connection between two nodes."""
        self._in_loop(self._relays[one, other].reset, self._relays[other, one].reset)

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
        return self.passed_way(one, other) + self.passed_way(other, one)

    def passed_way(self, source: str, target: str) -> int:
        """Those of them that `source` said."""
        return sum(way.bytes_passed for way in self._ways(source, target))

    def held(self, one: str, other: str) -> int:
        """Bytes and callers that a cut between two nodes stopped: shows that it hit something."""
        callers = sum(self._relays[pair].callers_held for pair in ((one, other), (other, one)))
        return callers + self.held_way(one, other) + self.held_way(other, one)

    def held_way(self, source: str, target: str) -> int:
        """Those of the bytes that `source` said."""
        return sum(way.bytes_held for way in self._ways(source, target))

    def late_s(self, one: str, other: str) -> float:
        """How long all that went between two nodes was late, in sum, because they were slow."""
        ways = (*self._ways(one, other), *self._ways(other, one))
        return sum(way.late_s for way in ways)

    def resets(self, one: str, other: str) -> int:
        """Connections between two nodes that were broken."""
        pairs = ((one, other), (other, one))
        return sum(self._relays[pair].connections_reset for pair in pairs)

    def _ways(self, source: str, target: str) -> tuple[Way, Way]:
        return self._relays[source, target].there, self._relays[target, source].back

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
