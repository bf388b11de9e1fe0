"""Who needs a snapshot, and which snapshots are worth installing (row 10).

The state itself travels outside of raft. Here is only the leader's list of followers behind its
journal and the follower's answer to an offer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from molecule.model.errors import DamagedData
from molecule.raft.journal import BEGINNING, Journal
from molecule.raft.outbox import SnapshotMark
from molecule.raft.settings import Guards


@dataclass(slots=True)
class SnapshotNeeds:
    """As leader: followers behind the journal, each asked for once until its transfer ended."""

    pause_seconds: float
    _under_way: set[str] = field(default_factory=set)
    _again_at: dict[str, float] = field(default_factory=dict)

    def wanted(self, now: float, behind: Iterable[str]) -> list[str]:
        """Peers to begin a transfer to."""
        wanted = [
            peer
            for peer in behind
            if peer not in self._under_way and self._again_at.get(peer, now) <= now
        ]
        self._under_way.update(wanted)
        return wanted

    def ended(self, now: float, peer: str) -> None:
        """A transfer arrived or failed; the next one waits a little."""
        self._under_way.discard(peer)
        self._again_at[peer] = now + self.pause_seconds


def is_worth_installing(mark: SnapshotMark, *, commit_index: int, own_snapshots: bool) -> bool:
    """A snapshot at or below what is committed here would only take entries away."""
    return mark.index > commit_index or not own_snapshots


def join(journal: Journal, snapshot: SnapshotMark | None, guards: Guards) -> None:
    """Present the journal from a snapshot on. Raises DamagedData when they do not fit."""
    if snapshot is None:
        if journal.head != BEGINNING:
            raise DamagedData(
                f"the journal begins at entry {journal.head.index + 1}, but there is no snapshot of"
                " what was before: the state was lost. Put it back, or remove this node and let it"
                " join again",
                journal_first=journal.head.index + 1,
            )
        return
    if not guards.own_snapshots and journal.head != snapshot:
        journal.forget_all_above(snapshot)
        return
    if not journal.begin_at(snapshot):
        raise DamagedData(
            f"the journal holds the entries {journal.head.index} to {journal.last_index} and cannot"
            f" be joined to the snapshot of entry {snapshot.index} in term {snapshot.term}: one of"
            " them was replaced or is damaged. Put both back from the same moment, or remove this"
            " node and let it join again",
            journal_last=journal.last_index,
            snapshot=snapshot.index,
        )
