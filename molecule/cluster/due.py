"""An index of instants: which ids are due now, without looking at those that are not.

Waits and deadlines use it. Adding and removing cost the same however many there are; the planner
reads due ids in order. It holds nothing of its own: it is rebuilt from the executions after a
restore.
"""

from collections.abc import Iterator
from typing import Final

from molecule.model.ids import ExecutionId

_BUCKET_MS: Final = 1_000


class DueTimes:
    """Executions by an instant each, in buckets of a second. Only apply changes it."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, dict[ExecutionId, int]] = {}

    def add(self, at_ms: int, execution: ExecutionId) -> None:
        """Remember that `execution` is due at `at_ms`."""
        self._buckets.setdefault(at_ms // _BUCKET_MS, {})[execution] = at_ms

    def remove(self, at_ms: int, execution: ExecutionId) -> None:
        """Forget it; nothing happens when it is not there."""
        bucket = at_ms // _BUCKET_MS
        held = self._buckets.get(bucket)
        if held is None:
            return
        held.pop(execution, None)
        if not held:
            del self._buckets[bucket]

    def due(self, now_ms: int) -> Iterator[ExecutionId]:
        """Ids whose instant has come, earliest first."""
        last = now_ms // _BUCKET_MS
        for bucket in sorted(bucket for bucket in self._buckets if bucket <= last):
            held = self._buckets[bucket]
            for at_ms, execution in sorted((at_ms, id_) for id_, at_ms in held.items()):
                if at_ms <= now_ms:
                    yield execution

    def __len__(self) -> int:
        return sum(len(held) for held in self._buckets.values())
