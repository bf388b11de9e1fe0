"""Who needs a snapshot, and which snapshots are worth installing (row 10).

The state itself travels outside of raft. Here is only the leader's list of followers behind its journal and
the follower's answer to an offer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from molecule.raft.outbox import SnapshotMark


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
