"""Messages of one stream that wait to leave and are taken together.

To send one costs the library more than what is in it. The bound on how many wait is their owner's.
What must stay true: messages leave in the order in which they came.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from google.protobuf.message import Message

from molecule.config import Limits

Sent = TypeVar("Sent", bound=Message)


class MessageQueue(Generic[Sent]):
    """The sending half of one stream. Mutable: owned by its loop."""

    def __init__(self, limits: Limits) -> None:
        self._bytes_max = limits.link_batch_bytes_max
        self._waiting: deque[Sent] = deque()
        self._some = asyncio.Event()
        self._ended = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Sent) -> None:
        """Add a message; after the end it is dropped."""
        if not self._ended:
            self._waiting.append(message)
            self._some.set()

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def end(self) -> None:
        """Let what waits leave, and nothing after it."""
        self._ended = True
        self._some.set()

    async def take(self) -> list[Sent]:
        """All that waits, up to `link_batch_bytes_max`; at least one message. Empty at the end."""
        waiting = self._waiting
        while not waiting:
            if self._ended:
                return []
            self._some.clear()
            await self._some.wait()
        taken = [waiting.popleft()]
        size_bytes = taken[0].ByteSize()
        while waiting and (size_bytes := size_bytes + waiting[0].ByteSize()) <= self._bytes_max:
            taken.append(waiting.popleft())
        return taken
