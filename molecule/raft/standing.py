"""What a replica knows of itself and the cluster: read-only views, for shells and metrics."""

from molecule.raft.catching_up import LearnerProgress
from molecule.raft.configuration import Configuration
from molecule.raft.journal import Journal
from molecule.raft.membership import Membership
from molecule.raft.parts import Parts


class Standing:
    """The part of a replica that changes nothing."""

    _parts: Parts
    _membership: Membership
    _frozen: bool

    @property
    def term(self) -> int:
        """Raft's term; for logs and metrics only."""
        return self._parts.core.term

    @property
    def is_leader(self) -> bool:
        """Whether this node won the election of its term.

        Leadership of the cluster is a committed claim on top.
        """
        return self._parts.core.is_leader

    @property
    def leader_id(self) -> str | None:
        """The leader of the current term, if known."""
        return self._parts.core.leader_id

    @property
    def commit_index(self) -> int:
        """The last index known to be committed."""
        return self._parts.core.commit_index

    @property
    def configuration(self) -> Configuration:
        """Who belongs to the cluster: the newest configuration here, committed or not."""
        return self._parts.configuration

    @property
    def is_change_committed(self) -> bool:
        """Whether that one is known to be committed."""
        return self._parts.committed_configuration is self._parts.configuration

    def learners(self, now: float) -> tuple[LearnerProgress, ...]:
        """As leader: how far each learner is; nothing otherwise."""
        return self._membership.learners(now) if self.is_leader else ()

    def voters_alive(self, now: float) -> tuple[str, ...]:
        """As leader: the voters that were heard a moment ago, itself included."""
        alive = self._membership.alive(now) if self.is_leader else ()
        return tuple(node for node in alive if node in self._parts.voters)

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still for an installed snapshot."""
        return self._frozen

    @property
    def journal(self) -> Journal:
        """The journal this replica writes."""
        return self._parts.journal
