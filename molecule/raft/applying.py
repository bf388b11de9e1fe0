"""Committed entries into the state machine, a few milliseconds at a time.

Used by the driver only, on its loop. Order and completeness are checked here once more, because
replicas that skip an entry differ for ever.
"""

import time
from collections import deque
from collections.abc import Callable

from molecule.model.errors import invariant
from molecule.raft.outbox import Committed
from molecule.raft.ports import StateMachine


class Applier:
    """A queue in front of a state machine; `on_result` is told what each entry gave."""

    def __init__(
        self,
        state_machine: StateMachine,
        on_result: Callable[[int, object], None],
        *,
        slice_seconds: float,
    ) -> None:
        self._state_machine = state_machine
        self._on_result = on_result
        self._slice_seconds = slice_seconds
        self._queue: deque[Committed] = deque()
        self.applied_index = 0

    def extend(self, committed: list[Committed]) -> None:
        """Queue entries that follow the ones before."""
        self._queue.extend(committed)

    def apply_slice(self) -> bool:
        """Apply until the queue is empty or the time is over; True when entries are left."""
        end = time.monotonic() + self._slice_seconds
        while self._queue:
            self._apply(self._queue.popleft())
            # After each: one entry may carry hundreds of commands.
            if time.monotonic() >= end:
                break
        return bool(self._queue)

    def _apply(self, entry: Committed) -> None:
        invariant(entry.index == self.applied_index + 1, "an entry was skipped", index=entry.index)
        result = None
        if entry.data:
            result = self._state_machine.apply(entry.index, entry.term, entry.data)
        self._on_result(entry.index, result)
        self.applied_index = entry.index
