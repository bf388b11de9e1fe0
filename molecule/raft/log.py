"""The log in memory: entries above a head, and where in the journal each one ends.

Leaves bytes and files to `journal.py`, and what is committed to the core. Positions of entries
grow with their index, so "durable up to a position" is also "durable up to an index".
"""

from bisect import bisect_left, bisect_right
from typing import Final

from molecule.model.errors import invariant
from molecule.raft.configuration import Configuration, decode
from molecule.raft.outbox import SnapshotMark

Entry = tuple[bytes, int, int]
"""Command, index, term: the tuple the core works with."""

NO_OPERATION: Final = b"\x01"
COMMAND: Final = b"\x00"
CONFIGURATION: Final = b"\x02"


class Log:
    """Entries from the head on; the head itself is only an index and a term.

    Changed by its journal only.
    """

    def __init__(self, head: SnapshotMark) -> None:
        self.entries: list[Entry] = [(NO_OPERATION, head.index, head.term)]
        self._ends: list[int] = [0]
        self.configurations: list[Configuration] = []
        """In order of index: the newest at or below the head, then those above it."""

    @property
    def configuration(self) -> Configuration | None:
        """The newest, committed or not; None while the cluster stands as it was formed."""
        return self.configurations[-1] if self.configurations else None

    def configuration_at(self, index: int) -> Configuration | None:
        """The newest at or below an index that is not below the head."""
        older = (known for known in reversed(self.configurations) if known.index <= index)
        return next(older, None)

    @property
    def head(self) -> SnapshotMark:
        """The entry below the first one kept."""
        _, index, term = self.entries[0]
        return SnapshotMark(index, term)

    @property
    def last_index(self) -> int:
        """Index of the last entry, or of the head."""
        return self.entries[-1][1]

    @property
    def last_term(self) -> int:
        """Term of the last entry, or of the head."""
        return self.entries[-1][2]

    def term_at(self, index: int) -> int | None:
        """The term of an entry or of the head; None when it is not held."""
        place = index - self.entries[0][1]
        return self.entries[place][2] if 0 <= place < len(self.entries) else None

    def command_at(self, index: int) -> bytes:
        """The command of an entry that is held."""
        return self.entries[index - self.entries[0][1]][0]

    def first_of_term(self, index: int) -> int:
        """Where the run of entries of one term that ends at `index` begins, above the head."""
        place = index - self.entries[0][1]
        term = self.entries[place][2]
        while place > 1 and self.entries[place - 1][2] == term:
            place -= 1
        return self.entries[place][1]

    def durable_index(self, position: int) -> int:
        """The last index that ends at or before `position`."""
        if self._ends[-1] <= position:
            return self.entries[-1][1]
        return self.entries[bisect_right(self._ends, position) - 1][1]

    def first_within(self, index: int, size_bytes: int) -> int:
        """The lowest index above which the entries up to `index` take about so many bytes.

        The first entry above the head is not counted: where it begins is forgotten.
        """
        place = index - self.entries[0][1]
        if place <= 0:
            return index
        lowest = bisect_left(self._ends, self._ends[place] - size_bytes, 1, place)
        return self.entries[lowest if lowest > 1 else 0][1]

    def add(self, entry: Entry, end: int) -> None:
        """Put an entry behind the last one."""
        invariant(
            entry[1] == self.entries[-1][1] + 1,
            "an entry does not follow the log",
            index=entry[1],
            last=self.entries[-1][1],
        )
        self.entries.append(entry)
        self._ends.append(end)
        if entry[0][:1] == CONFIGURATION:
            self.configurations.append(decode(entry[0][1:], entry[1]))

    def cut_from(self, index: int) -> None:
        """Forget the entries from `index` on.

        Below the head the head moves down, its term unknown (0).
        """
        self.configurations = [known for known in self.configurations if known.index < index]
        place = index - self.entries[0][1]
        if place < 1:
            self.entries = [(NO_OPERATION, index - 1, 0)]
            self._ends = [0]
            return
        del self.entries[place:]
        del self._ends[place:]

    def move_head(self, head: SnapshotMark) -> None:
        """Forget the entries up to `head`, which must be held."""
        place = head.index - self.entries[0][1]
        invariant(0 <= place < len(self.entries), "the head is not in the log", head=head.index)
        base = self.configuration_at(head.index)
        above = [known for known in self.configurations if known.index > head.index]
        self.configurations = [base, *above] if base is not None else above
        self.entries[: place + 1] = [(NO_OPERATION, head.index, head.term)]
        self._ends[: place + 1] = [0]

    def restart_at(self, head: SnapshotMark) -> None:
        """Forget all entries and begin behind `head`."""
        base = self.configuration_at(head.index)
        self.configurations = [] if base is None else [base]
        self.entries = [(NO_OPERATION, head.index, head.term)]
        self._ends = [0]
