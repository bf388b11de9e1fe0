"""A replica's part in who belongs to the cluster: follow the configuration, propose changes of it.

What a change means is `changes.py`, what the core counts `library.py`. The replica calls `follow`
after everything that may have changed the log.
"""

from dataclasses import dataclass

import structlog

from molecule.model.errors import (
    ChangeInProgress,
    LeadershipMoving,
    LearnerBehind,
    UnknownMember,
)
from molecule.raft.appends import Appends
from molecule.raft.catching_up import CatchingUp, LearnerProgress
from molecule.raft.changes import Change, Promote, Remove, planned, refuse_without_majority
from molecule.raft.configuration import Configuration
from molecule.raft.formation import Formation
from molecule.raft.keepalive import KeepAlives
from molecule.raft.leading import Leading
from molecule.raft.parts import Parts
from molecule.wire.v1 import raft_pb2

_log = structlog.get_logger()


@dataclass(slots=True)
class Membership:
    """One node's view of the configuration."""

    parts: Parts
    appends: Appends
    keep_alives: KeepAlives
    leading: Leading
    formation: Formation | None
    catching_up: CatchingUp
    _told: tuple[Configuration, Configuration] | None = None

    # --- any node -----------------------------------------------------------------------------

    def follow(self, now: float) -> Configuration | None:
        """Count by the configuration in force; it, if it is another one than before."""
        before = set(self.parts.others)
        if not self.parts.follow_configuration(now):
            return None
        parts = self.parts
        self.keep_alives.rounds.follow(now, parts.others, parts.other_voters)
        self.appends.expect(set(parts.others) - before)
        return parts.configuration

    def introduce_when_changed(self) -> None:
        """Tell all who is in and who is out, when that is news."""
        news = (self.parts.configuration, self.parts.committed_configuration)
        if self._told is not None and self._told[0] is news[0] and self._told[1] is news[1]:
            return
        self._told = news
        self.introduce_to_all()

    def introduce_to_all(self) -> None:
        """Tell every peer."""
        for peer in self.parts.links.peers_up():
            self.introduce_to(peer)

    def introduce_to(self, peer: str) -> None:
        """Tell one peer which data folder this is and who belongs to the cluster."""
        if self.formation is not None:
            parts = self.parts
            frame = self.formation.frame(parts.configuration, parts.committed_configuration)
            frame.formation.held.CopyFrom(self.appends.held_by(peer))
            parts.links.introduce(peer, frame)

    def hear(self, now: float, peer: str, told: raft_pb2.Formation) -> None:
        """A peer told the same of itself."""
        if self.formation is None:
            return
        was_member, in_force = self.parts.is_member(peer), self.parts.configuration
        is_new = self.parts.links.birth(peer) is None
        self.parts.links.introduced(peer, told.birth, is_part=told.formed)
        self.formation.hear(peer, told, in_force)
        if is_new and not self.formation.is_as_known(peer, told, in_force):
            _log.warning("member_has_another_folder", peer=peer)
        self._doubt_older_disk(peer, told.held)
        if self.parts.core.is_leader and not was_member:
            self.appends.probe(now, peer)

    def _doubt_older_disk(self, peer: str, held: raft_pb2.HeldEntry) -> None:
        """A disk that was put back to an older copy lacks what others count on.

        Its vote then counts as that of a journal that lost its end: only beside all others.
        """
        journal = self.parts.journal
        told, here = (held.term, held.index), (journal.last_term, journal.last_index)
        if held.birth != self.parts.birth or told <= here or journal.is_doubtful:
            return
        journal.doubt()
        _log.warning("disk_is_older", peer=peer, acknowledged=held.index, here=here[1])

    # --- leader -------------------------------------------------------------------------------

    def plan(self, now: float, change: Change) -> Configuration | None:
        """The configuration to propose now; None when the one in force is that already.

        Raises what `changes.planned` raises, ChangeInProgress, LearnerBehind, QuorumAtRisk, and
        LeadershipMoving, after which another leader must be asked.
        """
        parts = self.parts
        configuration = planned(parts.configuration, change, parts.bounds)
        if not parts.guards.one_change_at_a_time:
            return None if configuration is parts.configuration else configuration
        is_settled = parts.committed_configuration is parts.configuration
        if not is_settled or not parts.commit_is_complete():
            raise ChangeInProgress(
                "the change of members before this one is not committed yet, or this leader was"
                " elected a moment ago; ask again soon"
            )
        if configuration is parts.configuration:
            return None
        if isinstance(change, Promote):
            self._refuse_behind(now, change.node)
        if isinstance(change, Remove) and change.node == parts.me:
            self.leading.hand_over(now)
            raise LeadershipMoving(
                f"{parts.me} leads and cannot remove itself; it is handing over, ask again soon"
            )
        refuse_without_majority(configuration, self.alive(now))
        return configuration

    def alive(self, now: float) -> tuple[str, ...]:
        """As leader: this node and the members that were heard a moment ago."""
        alive = [self.parts.me]
        alive += [peer for peer in self.parts.others if self._is_alive(now, peer)]
        return tuple(sorted(alive))

    def learners(self, now: float) -> tuple[LearnerProgress, ...]:
        """As leader: how far each learner is."""
        core, journal = self.parts.core, self.parts.journal
        return tuple(
            LearnerProgress(
                node=learner,
                match_index=core.match_index(learner),
                last_index=journal.last_index,
                answers_in_time=self._answers_in_time(now, learner),
                needs_snapshot=core.next_index(learner) <= journal.head.index,
            )
            for learner in self.parts.configuration.learner_ids
        )

    def refuse_no_voter(self, node: str) -> None:
        """Raise UnknownMember unless leadership can be handed to this node."""
        if node not in self.parts.voters:
            voters = ", ".join(self.parts.voters)
            raise UnknownMember(f"{node} is no voter; the voters are {voters}", node=node)

    def begin(self) -> None:
        """A leadership begins."""
        self.catching_up.begin()

    def round(self, now: float) -> None:
        """As leader: see how far the learners are."""
        learners = self.parts.configuration.learner_ids
        if learners:
            last_index = self.parts.journal.last_index
            self.catching_up.round(now, learners, self.parts.core.match_index, last_index)

    def _refuse_behind(self, now: float, learner: str) -> None:
        if not self._answers_in_time(now, learner):
            raise LearnerBehind(
                f"{learner} has not the whole log yet, or does not answer within an election"
                " timeout; it goes on receiving, ask again soon",
                node=learner,
            )

    def _answers_in_time(self, now: float, learner: str) -> bool:
        return self._is_alive(now, learner) and self.catching_up.keeps_pace(now, learner)

    def _is_alive(self, now: float, peer: str) -> bool:
        if not self.parts.is_member(peer):
            return False
        heard = self.keep_alives.rounds.alive_since(peer)
        return now - heard < self.parts.timing.step_down
