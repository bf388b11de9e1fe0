"""Committed entries on their way out of a replica, in order, each index once."""

from dataclasses import dataclass

from molecule.raft.log import COMMAND, Log
from molecule.raft.outbox import Committed


@dataclass(slots=True)
class HandingOut:
    """Remembers how far it came; `index` begins at the head of the log."""

    index: int

    def take(self, log: Log, until: int) -> list[Committed]:
        """The entries that became committed; what is not a command has no data."""
        first = log.head.index
        new = log.entries[self.index + 1 - first : until + 1 - first]
        self.index = max(until, self.index)
        return [
            Committed(index, term, command[1:] if command[:1] == COMMAND else b"")
            for command, index, term in new
        ]
