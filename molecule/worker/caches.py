"""What `cache.*` remembers: in the memory of this worker, by environment, name and key.

Nobody may rely on it: another worker knows nothing of it, and whatever has no room, is too old or
was in a worker that ended is gone. What stays true: it holds no more than its bounds.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from molecule.config import Limits
from molecule.model import payload

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    content: bytes
    until_s: float


class Caches:
    """All caches of a worker, in one line of least use."""

    def __init__(self, limits: Limits, now_s: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now_s = now_s
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._bytes = 0

    def of(self, environment: str) -> "CacheOf":
        """What an execution of this environment sees."""
        return CacheOf(self, environment)

    def get(self, key: _Key) -> tuple[bool, Any]:
        """Whether it is there, and the value."""
        entry = self._entries.get(key)
        if entry is None:
            return False, None
        if entry.until_s <= self._now_s():
            self.remove(key)
            return False, None
        self._entries.move_to_end(key)
        return True, payload.decode_value(entry.content)

    def put(self, key: _Key, value: Any, *, for_ms: int) -> None:
        """Remember a copy of it; the least used go when there is no room."""
        self.remove(key)
        content = payload.encode_value(value)
        if len(content) > self._limits.cache_bytes_max:
            return
        self._entries[key] = _Entry(content, self._now_s() + for_ms / 1_000)
        self._bytes += len(content)
        while (
            len(self._entries) > self._limits.cache_entries_max
            or self._bytes > self._limits.cache_bytes_max
        ):
            self.remove(next(iter(self._entries)))

    def remove(self, key: _Key) -> None:
        """Forget it; nothing happens when it is not there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.content)


class CacheOf:
    """Implements `Cache` for one environment."""

    def __init__(self, caches: Caches, environment: str) -> None:
        self._caches = caches
        self._environment = environment

    def get(self, name: str, key: str) -> tuple[bool, Any]:
        """Whether it is there, and the value."""
        return self._caches.get((self._environment, name, key))

    def put(self, name: str, key: str, value: Any, *, for_ms: int) -> None:
        """Remember it for so long at most."""
        self._caches.put((self._environment, name, key), value, for_ms=for_ms)

    def remove(self, name: str, key: str) -> None:
        """Forget it."""
        self._caches.remove((self._environment, name, key))
