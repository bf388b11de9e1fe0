"""The duties of one replica, built and wired to each other. Holds no rule.

Each knows the parts they share and those duties that it tells something; only the replica calls
them all.
"""

from dataclasses import dataclass
from typing import Self

from molecule.raft.appends import Appends
from molecule.raft.catching_up import CatchingUp
from molecule.raft.dispatch import Dispatch
from molecule.raft.elections import Elections
from molecule.raft.formation import Formation
from molecule.raft.keepalive import KeepAlives, Rounds
from molecule.raft.leading import Leading
from molecule.raft.membership import Membership
from molecule.raft.parts import Parts
from molecule.raft.snapshots import SnapshotNeeds


@dataclass(frozen=True, slots=True)
class Duties:
    """Built once by the replica."""

    appends: Appends
    elections: Elections
    keep_alives: KeepAlives
    snapshots: SnapshotNeeds
    leading: Leading
    membership: Membership
    dispatch: Dispatch

    @classmethod
    def of(cls, parts: Parts, formation: Formation | None, now: float) -> Self:
        """All duties around these parts."""
        appends = Appends(parts)
        elections = Elections(parts, deadline=now)
        elections.restart_timer(now)
        if parts.is_voter and len(parts.voters) == 1:
            elections.deadline = now
        keep_alives = KeepAlives(parts, Rounds(parts.others, parts.other_voters))
        snapshots = SnapshotNeeds(pause_seconds=parts.timing.keepalive)
        leading = Leading(parts, appends, elections, keep_alives, snapshots)
        catching_up = CatchingUp(within=parts.timing.election_max)
        membership = Membership(parts, appends, keep_alives, leading, formation, catching_up)
        return cls(
            appends=appends,
            elections=elections,
            keep_alives=keep_alives,
            snapshots=snapshots,
            leading=leading,
            membership=membership,
            dispatch=Dispatch(parts, appends, elections, keep_alives, membership),
        )
