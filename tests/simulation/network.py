"""A network of TCP-like connections, one between each pair of members.

Inside a connection frames arrive in the order in which they were sent or not at all; a cut holds
them, a reset drops them, and each direction has latency and bandwidth. Which faults happen is left
to `faults.py`. What must stay true: nothing is reordered or repeated inside one connection; what
an old connection still delivers after a new one was opened carries the old one's number.
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tests.simulation.clock import EventQueue

Pair: TypeAlias = tuple[str, str]


class Listener(Protocol):
    """What the network tells the world."""

    def link_up(self, member: str, peer: str, connection: int) -> None: ...

    def link_down(self, member: str, peer: str, connection: int) -> None: ...

    def frame(self, member: str, peer: str, connection: int, frame: object) -> None: ...

    def is_alive(self, member: str) -> bool:
        """Is there a process that holds connections (running or stopped by a signal)."""

    def is_answering(self, member: str) -> bool:
        """Would the process finish a handshake now."""


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """How the links of one run behave while nobody breaks them."""

    latency_s: float = 0.0005
    jitter_s: float = 0.0005
    bandwidth_bytes_s: float = 10_000_000.0
    redial_s: float = 0.05
    # A connection that carried nothing for this long because of a cut is given up by both ends.
    dead_after_s: float = 2.5


class _Close:
    """Marks the end of a stream inside it."""


_CLOSE = _Close()


class _Direction:
    """Frames on their way to one end, oldest first."""

    __slots__ = ("flight", "free_at_s", "last_at_s", "stalled")

    def __init__(self) -> None:
        self.flight: deque[object] = deque()
        self.stalled = 0
        self.last_at_s = 0.0
        self.free_at_s = 0.0


class _Connection:
    """One TCP connection; each end learns of its end at a time of its own."""

    __slots__ = ("numbers", "open", "to")

    def __init__(self, numbers: dict[str, int]) -> None:
        self.numbers = numbers
        self.open = dict.fromkeys(numbers, True)
        self.to = {end: _Direction() for end in numbers}


class Network:
    """All links of one run. `block` and `unblock` count, so overlapping cuts heal one by one."""

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        members: tuple[str, ...],
        profile: NetworkProfile,
        listener: Listener,
    ) -> None:
        self._queue = queue
        self._rng = rng
        self._members = members
        self._profile = profile
        self._listener = listener
        self._connections: dict[Pair, _Connection] = {}
        self._replaced: list[_Connection] = []
        self._dialling: dict[Pair, bool] = {}
        self._blocked: dict[Pair, int] = {}
        self._block_epoch: dict[Pair, int] = {}
        self._slow: dict[Pair, float] = {}
        self._numbers = {(a, b): rng.randrange(1000) for a in members for b in members if a != b}
        self.bytes_sent = 0

    def start(self, member: str) -> None:
        """A process came up: it dials everybody and everybody may reach it."""
        for peer in self._members:
            if peer != member:
                self._dial_later(_pair(member, peer), self._rng.random() * self._profile.redial_s)

    def stop(self, member: str, *, silently: bool = False) -> None:
        """A process ended; its connections are closed unless the machine died (`silently`)."""
        if silently:
            self._lose_held(member)
        for old in self._replaced:
            if member in old.open:
                old.open[member] = False
        self._replaced = [old for old in self._replaced if any(old.open.values())]
        for peer in self._members:
            connection = self._connections.get(_pair(member, peer)) if peer != member else None
            if connection is None or not connection.open[member]:
                continue
            connection.open[member] = False
            connection.to[member].flight.clear()
            if silently:
                self._queue.after(self._profile.dead_after_s, self._give_up, connection, peer)
            else:
                self._transmit(connection, peer, _CLOSE, 0)

    def _lose_held(self, member: str) -> None:
        """What a cut held back was kept by the machine that sent it, for another attempt."""
        for connection in (*self._replaced, *self._connections.values()):
            if member in connection.to:
                peer = _other(connection, member)
                if self.is_blocked(member, peer):
                    connection.to[peer].flight.clear()
                    connection.to[peer].stalled = 0

    def is_carrying(self, source: str, target: str) -> bool:
        """Is anything on its way that may still arrive, whether `source` still lives or not."""
        return any(
            connection.to[target].flight
            for connection in (*self._replaced, *self._connections.values())
            if source in connection.to and target in connection.to
        )

    def send(self, source: str, target: str, number: int, frame: object, size_bytes: int) -> None:
        """Put a frame on the stream that `source` calls `number`; dropped when that is over."""
        connection = self._connections.get(_pair(source, target))
        if connection is None or connection.numbers[source] != number:
            return
        if connection.open[source]:
            self.bytes_sent += size_bytes
            self._transmit(connection, target, frame, size_bytes)

    def block(self, source: str, target: str) -> None:
        """Let nothing pass from `source` to `target`; what is on its way is held."""
        way = (source, target)
        self._blocked[way] = self._blocked.get(way, 0) + 1
        if self._blocked[way] > 1:
            return
        epoch = self._block_epoch[way] = self._block_epoch.get(way, 0) + 1
        for end in way:
            patience_s = self._profile.dead_after_s * (0.8 + 0.4 * self._rng.random())
            self._queue.after(patience_s, self._give_up_blocked, way, epoch, end)

    def unblock(self, source: str, target: str) -> None:
        """Undo one `block`; with the last one the held frames travel on."""
        way = (source, target)
        self._blocked[way] -= 1
        if self._blocked[way]:
            return
        self._block_epoch[way] += 1
        connection = self._connections.get(_pair(source, target))
        if connection is None:
            return
        direction = connection.to[target]
        stalled, direction.stalled = direction.stalled, 0
        for _ in range(stalled):
            self._schedule_arrival(connection, target, source, 0)

    def is_blocked(self, source: str, target: str) -> bool:
        """Is this direction cut at the moment."""
        return bool(self._blocked.get((source, target)))

    def reset(self, a: str, b: str) -> None:
        """Break a connection; both ends learn at once, frames under way are lost."""
        connection = self._connections.get(_pair(a, b))
        if connection is None:
            return
        for end in (a, b):
            connection.to[end].flight.clear()
        for end in (a, b):
            self._close_end(connection, end)

    def abandon(self, a: str, b: str) -> None:
        """`a` gives up its connection and dials anew; `b` still reads what was on its way."""
        connection = self._connections.get(_pair(a, b))
        if connection is not None:
            self._close_end(connection, a)

    def slow(self, a: str, b: str, extra_s: float) -> None:
        """Add latency to both directions of a link, on average; 0 makes it normal again."""
        self._slow[a, b] = self._slow[b, a] = extra_s

    def is_linked(self, a: str, b: str) -> bool:
        """Do both ends hold the same open connection and may frames pass both ways."""
        connection = self._connections.get(_pair(a, b))
        return (
            connection is not None
            and all(connection.open.values())
            and not self.is_blocked(a, b)
            and not self.is_blocked(b, a)
        )

    def _transmit(self, connection: _Connection, target: str, frame: object, size: int) -> None:
        direction = connection.to[target]
        direction.flight.append(frame)
        source = _other(connection, target)
        if direction.stalled or self._blocked.get((source, target)):
            direction.stalled += 1
        else:
            self._schedule_arrival(connection, target, source, size)

    def _schedule_arrival(
        self, connection: _Connection, target: str, source: str, size_bytes: int
    ) -> None:
        direction = connection.to[target]
        profile = self._profile
        now_s = self._queue.now_s
        start_s = max(now_s, direction.free_at_s)
        direction.free_at_s = start_s + size_bytes / profile.bandwidth_bytes_s
        latency_s = profile.latency_s + profile.jitter_s * self._rng.random()
        extra_s = self._slow.get((source, target))
        if extra_s:
            latency_s += extra_s * (0.5 + self._rng.random())
        arrives_s = direction.free_at_s + latency_s
        arrives_s = max(arrives_s, direction.last_at_s)
        direction.last_at_s = arrives_s
        self._queue.at(arrives_s, self._arrive, connection, target, source)

    def _arrive(self, connection: _Connection, target: str, source: str) -> None:
        direction = connection.to[target]
        if not direction.flight:
            return
        if direction.stalled or self._blocked.get((source, target)):
            direction.stalled += 1
            return
        frame = direction.flight.popleft()
        if not connection.open[target]:
            return
        if frame is _CLOSE:
            self._close_end(connection, target)
        else:
            self._listener.frame(target, source, connection.numbers[target], frame)

    def _give_up_blocked(self, way: Pair, epoch: int, end: str) -> None:
        connection = self._connections.get(_pair(*way))
        if connection is not None and self._block_epoch[way] == epoch:
            self._give_up(connection, end)

    def _give_up(self, connection: _Connection, end: str) -> None:
        if self._connections.get(_pair(end, _other(connection, end))) is connection:
            self._close_end(connection, end)

    def _close_end(self, connection: _Connection, end: str) -> None:
        if not connection.open[end]:
            return
        connection.open[end] = False
        peer = _other(connection, end)
        if connection.open[peer]:
            self._transmit(connection, peer, _CLOSE, 0)
        if self._listener.is_alive(end):
            self._listener.link_down(end, peer, connection.numbers[end])
            self._dial_later(_pair(end, peer), self._profile.redial_s)

    def _dial_later(self, pair: Pair, delay_s: float) -> None:
        if not self._dialling.get(pair):
            self._dialling[pair] = True
            self._queue.after(delay_s * (0.5 + self._rng.random()), self._dial, pair)

    def _dial(self, pair: Pair) -> None:
        self._dialling[pair] = False
        a, b = pair
        current = self._connections.get(pair)
        if current is not None and current.open[a] and current.open[b]:
            return
        listener = self._listener
        if not (listener.is_alive(a) and listener.is_alive(b)):
            # Whoever starts dials anew.
            return
        cut = self.is_blocked(a, b) or self.is_blocked(b, a)
        if cut or not (listener.is_answering(a) and listener.is_answering(b)):
            self._dial_later(pair, self._profile.redial_s)
            return
        numbers = {}
        for end, peer in ((a, b), (b, a)):
            self._numbers[end, peer] += 1
            numbers[end] = self._numbers[end, peer]
        if current is not None and any(current.open.values()):
            # One end has not yet noticed that the old stream died, and may still read from it.
            self._replaced.append(current)
        self._connections[pair] = _Connection(numbers)
        for end, peer in ((a, b), (b, a)):
            listener.link_up(end, peer, numbers[end])


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)


def _other(connection: _Connection, end: str) -> str:
    a, b = connection.numbers
    return b if end == a else a
