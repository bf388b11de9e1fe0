"""Frames of one link that wait to leave: a queue bounded in bytes, emptied in whole messages.

It knows no network. What must stay true: frames leave in the order in which they came, or never.
"""

import asyncio
from collections import deque

from molecule.config import Limits


class FrameQueue:
    """The sending half of one link. Mutable: owned by its loop."""

    def __init__(self, peer: str, connection: int, limits: Limits, *, now: float = 0.0) -> None:
        self.peer = peer
        self.connection = connection
        self.is_closed = False
        self.messages_sent = 0
        self.heard_at = now
        """When the other half of the link got its last message."""
        self._limits = limits
        self._frames: deque[bytes] = deque()
        self._size_bytes = 0
        self._some = asyncio.Event()

    def put(self, frame: bytes) -> bool:
        """Add a frame; False when that would pass `link_queue_bytes_max`: nothing was added."""
        if self._size_bytes + len(frame) > self._limits.link_queue_bytes_max:
            return False
        self._frames.append(frame)
        self._size_bytes += len(frame)
        self._some.set()
        return True

    def ping(self) -> None:
        """Let the next message leave, with nothing in it if nothing waits."""
        self._some.set()

    def close(self) -> None:
        """Drop what waits and wake who waits."""
        self.is_closed = True
        self._frames.clear()
        self._size_bytes = 0
        self._some.set()

    async def take(self) -> list[bytes]:
        """What waits, up to one message; empty after a ping, or when closed."""
        if not self.is_closed:
            await self._some.wait()
        taken: list[bytes] = []
        size_bytes = 0
        while self._frames and size_bytes < self._limits.link_batch_bytes_max:
            taken.append(self._frames.popleft())
            size_bytes += len(taken[-1])
        self._size_bytes -= size_bytes
        if not self._frames:
            self._some.clear()
        return taken
