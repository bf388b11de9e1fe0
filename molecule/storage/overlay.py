"""What was staged and is not yet on disk, readable at once.

Pure memory: it neither knows nor waits for the disk. What must stay true: a row leaves the overlay
only after a transaction that held it was committed, so a reader who looks here first and on disk
second misses nothing.
"""

from collections import deque
from collections.abc import Sequence

from molecule.model.errors import invariant
from molecule.storage.rows import (
    EMPTY_MARK,
    Batch,
    DeadLetterRow,
    HistoryRow,
    Mark,
    PayloadRow,
    TimelineRow,
)


class Overlay:
    """Mutable; only the state store on its loop changes it."""

    def __init__(self, mark: Mark = EMPTY_MARK) -> None:
        self._batches: deque[Batch] = deque()
        self._last = mark
        self._payloads: dict[tuple[str, str], PayloadRow] = {}
        self._timeline: dict[str, deque[TimelineRow]] = {}
        self._history: dict[str, HistoryRow] = {}
        self._letters: dict[tuple[int, int], DeadLetterRow] = {}
        self.row_count = 0
        self.size_bytes = 0

    def stage(self, batch: Batch) -> None:
        """Add a batch; marks must grow."""
        if batch.mark is not None:
            invariant(
                batch.mark.index >= self._last.index,
                "marks of the state store never go back",
                staged=batch.mark.index,
                last=self._last.index,
            )
            self._last = batch.mark
        invariant(
            not batch.rows or batch.mark is not None,
            "rows of the snapshot are staged together with the mark they stand for",
        )
        self._batches.append(batch)
        self.row_count += batch.row_count
        self.size_bytes += batch.size_bytes
        for row in batch.payloads:
            self._payloads[row.execution, row.slot] = row
        for event in batch.timeline:
            self._timeline.setdefault(event.execution, deque()).append(event)
        for ended in batch.history:
            self._history[ended.execution] = ended
        for letter in batch.dead_letters:
            self._letters[letter.log_index, letter.position] = letter

    def ready(self) -> tuple[Batch, ...]:
        """Everything up to the last mark, oldest first; empty when no mark was staged."""
        batches = tuple(self._batches)
        for count in range(len(batches), 0, -1):
            if batches[count - 1].mark is not None:
                return batches[:count]
        return ()

    def settle(self, written: Sequence[Batch]) -> None:
        """Forget what a committed transaction holds: the batches that `ready` gave."""
        for batch in written:
            invariant(self._batches.popleft() is batch, "batches are settled in their order")
            self.row_count -= batch.row_count
            self.size_bytes -= batch.size_bytes
            self._forget(batch)

    def _forget(self, batch: Batch) -> None:
        for row in batch.payloads:
            if self._payloads.get((row.execution, row.slot)) is row:
                del self._payloads[row.execution, row.slot]
        for event in batch.timeline:
            events = self._timeline[event.execution]
            events.popleft()
            if not events:
                del self._timeline[event.execution]
        for ended in batch.history:
            if self._history.get(ended.execution) is ended:
                del self._history[ended.execution]
        for letter in batch.dead_letters:
            if self._letters.get((letter.log_index, letter.position)) is letter:
                del self._letters[letter.log_index, letter.position]

    def payload(self, execution: str, slot: str) -> PayloadRow | None:
        """The newest staged row of this slot; one without body says that it was removed."""
        return self._payloads.get((execution, slot))

    def timeline(self, execution: str) -> tuple[TimelineRow, ...]:
        """Its staged events, oldest first."""
        return tuple(self._timeline.get(execution, ()))

    def ended(self) -> tuple[HistoryRow, ...]:
        """All staged ends, in no order."""
        return tuple(self._history.values())

    def history(self, execution: str) -> HistoryRow | None:
        """Its staged end."""
        return self._history.get(execution)

    def dead_letters(self) -> tuple[DeadLetterRow, ...]:
        """All staged dead letters, in the order of the log."""
        return tuple(self._letters.values())

    def dead_letter(self, log_index: int, position: int) -> DeadLetterRow | None:
        """A staged dead letter by its key."""
        return self._letters.get((log_index, position))
