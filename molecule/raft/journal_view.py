# ruff: noqa: N802  # the names are the core's
"""Our journal under the names and habits of the core.

Knows nothing of the library but what it calls. Slices are bounded to one append, so that no call of
the core touches the whole log; compaction is never the core's.
"""

from typing import overload

from molecule.model.errors import BrokenInvariant
from molecule.raft.journal import Journal
from molecule.raft.log import Entry
from molecule.raft.settings import Bounds


class JournalView:
    """Our journal under the names the core calls."""

    def __init__(self, journal: Journal, bounds: Bounds) -> None:
        self._journal = journal
        self._log = journal.log
        self._bounds = bounds

    def __len__(self) -> int:
        return len(self._log.entries)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        entries = self._log.entries
        if isinstance(place, int):
            return entries[place]
        start, stop, _ = place.indices(len(entries))
        if stop - start <= 1:
            return entries[start:stop]
        chosen = entries[start : min(stop, start + self._bounds.append_entries_max)]
        size = 0
        for count, entry in enumerate(chosen, start=1):
            size += len(entry[0])
            # Two at least: the core asks for all behind an entry to see whether there is anything.
            if count > 1 and size >= self._bounds.append_bytes_max:
                return chosen[:count]
        return chosen

    def add(self, command: bytes, index: int, term: int) -> None:
        """Put an entry behind the last one."""
        self._journal.add((command, index, term))

    def deleteEntriesFrom(self, place: int) -> None:
        """Cut the entries from a place in the list on."""
        self._journal.cut_from(self._log.entries[0][1] + place)

    def deleteEntriesTo(self, _place: int) -> None:
        """Never done by the core."""
        raise BrokenInvariant("the core tried to compact the journal")

    def clear(self) -> None:
        """Never done by the core."""
        raise BrokenInvariant("the core tried to clear the journal")

    def setCurrentTerm(self, term: int, voted_for: str | None) -> None:
        """Record a term and the vote in it."""
        self._journal.set_term(term, voted_for)

    def getCurrentTerm(self) -> int:
        """The term of the last life."""
        return self._journal.term

    def getVotedForNodeId(self) -> str | None:
        """The vote in that term."""
        return self._journal.voted_for

    def setRaftCommitIndex(self, index: int) -> None:
        """Not kept: after a restart the leader tells it."""

    def getRaftCommitIndex(self) -> int:
        """What is surely committed: the head."""
        return self._journal.head.index

    def onOneSecondTimer(self) -> None:
        """Nothing is saved by time."""

    def _destroy(self) -> None:
        """Nothing to close."""
