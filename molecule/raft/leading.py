"""What a leader does in a round besides the core: whom to send to, what to tell, handing over.

Leaves counting and matching to the core. The replica starts it when an election is won and ends it
when leadership is lost.
"""

from dataclasses import dataclass

from molecule.raft.appends import Appends
from molecule.raft.elections import Elections
from molecule.raft.keepalive import KeepAlives
from molecule.raft.outbox import Outbox
from molecule.raft.parts import Parts
from molecule.raft.snapshots import SnapshotNeeds


@dataclass(slots=True)
class Leading:
    """The leader's half of a round."""

    parts: Parts
    appends: Appends
    elections: Elections
    keep_alives: KeepAlives
    snapshots: SnapshotNeeds
    log_grew: bool = False
    _hand_over_until: float | None = None
    _hand_over_to: str | None = None
    _is_asked: bool = False

    def begin(self, now: float) -> None:
        """An election was won."""
        self.appends.lead()
        self.keep_alives.lead(now)
        self.log_grew = True

    def end(self) -> None:
        """Leadership is lost."""
        self._hand_over_until = None

    @property
    def is_handing_over(self) -> bool:
        """Whether a follower is being made ready to take over; nothing new is taken meanwhile."""
        return self._hand_over_until is not None

    def hand_over(self, now: float, to: str | None = None) -> None:
        """Ask a voter to take over as soon as it has everything, within an election timeout.

        The named one, or the first that is ready.
        """
        if self.parts.other_voters and self._hand_over_until is None:
            self._hand_over_until = now + self.parts.timing.election_max
            self._hand_over_to = to
            self._is_asked = False

    def receivers(self, now: float) -> tuple[bool | None, list[str]]:
        """Whether the core shall send appends now (None: by its own clock), and to whom."""
        guards, grew = self.parts.guards, self.log_grew
        self.log_grew = False
        if not guards.one_append_in_flight:
            behind = self.appends.behind_journal()
            return grew or None, [p for p in self.parts.links.peers_up() if p not in behind]
        receivers = self.appends.lacking(now)
        if not guards.keepalives and now >= self.keep_alives.next_at:
            # Then appends are the only sign of life, as they are for the library.
            receivers = self.appends.free_peers()
        return bool(receivers), receivers

    def round(self, now: float, out: Outbox) -> None:
        """After the core counted and sent: tell commits, keep alive, ask for snapshots."""
        if self.parts.guards.keepalives:
            self._tell_commit(now)
        behind = self.appends.behind_journal()
        out.snapshots_wanted += self.snapshots.wanted(now, behind)
        self.keep_alives.round(now, behind)
        self._ask_to_take_over(now)

    def wake_at(self, now: float) -> float:
        """When there is something to do without any input."""
        wake_at = min(self.keep_alives.wake_at(now), self.appends.wake_at(now))
        return wake_at if self._hand_over_until is None else min(wake_at, self._hand_over_until)

    def _tell_commit(self, now: float) -> None:
        """Tell a commit at once to all who can use it and were not told by an append (row 13)."""
        for peer in self.parts.others:
            index = self.appends.commit_to_tell(peer)
            if index is not None:
                self.keep_alives.tell(now, peer, 0)
                self.appends.told_commit(peer, index)

    def _ask_to_take_over(self, now: float) -> None:
        if self._hand_over_until is None:
            return
        if now >= self._hand_over_until:
            self._hand_over_until = None
            return
        core, last = self.parts.core, self.parts.journal.last_index
        for peer in self.parts.other_voters:
            if self._hand_over_to not in (None, peer) or not self.parts.is_member(peer):
                continue
            has_all = core.match_index(peer) == core.commit_index == last
            if has_all and not self._is_asked:
                self._is_asked = True
                self.elections.hand_over(peer)
