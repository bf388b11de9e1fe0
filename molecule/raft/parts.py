"""What the duties of a replica share: core, journal, links, configuration and settings.

Holds no decision. Duties never call each other through it; the replica tells each what it needs to
know.
"""

import random
from dataclasses import dataclass, field

from molecule.raft.configuration import Configuration
from molecule.raft.journal import Journal
from molecule.raft.library import Core
from molecule.raft.links import Links
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.wire.v1.raft_pb2 import RaftFrame


@dataclass(slots=True)
class Parts:
    """Built once by the replica, which alone may change `configuration`."""

    me: str
    formed: Configuration
    """What the cluster was formed with; in force until the log holds a configuration."""
    core: Core
    journal: Journal
    links: Links
    timing: Timing
    guards: Guards
    bounds: Bounds
    chance: random.Random
    _configuration: Configuration | None = None
    voters: tuple[str, ...] = ()
    """All that count."""
    other_voters: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """All that are sent entries: voters and learners without this node."""
    is_voter: bool = False
    """Whether this node counts."""
    birth: str | None = None
    """Of this node's data folder; None: nobody tells births, names are enough."""
    _births: dict[str, str] = field(default_factory=dict)

    @property
    def configuration(self) -> Configuration:
        """The one in force: the newest in the log, committed or not."""
        return self.journal.log.configuration or self.formed

    @property
    def committed_configuration(self) -> Configuration:
        """The newest that is known to be committed."""
        index = min(self.core.commit_index, self.journal.durable_index)
        return self.journal.log.configuration_at(index) or self.formed

    def follow_configuration(self, now: float) -> bool:
        """Count by the configuration in force; whether it is another one than before."""
        configuration = self.configuration
        if configuration is self._configuration:
            return False
        self._configuration = configuration
        self._births = {member.node: member.birth for member in configuration.members}
        voters, learners = configuration.voter_ids, configuration.learner_ids
        self.voters = voters
        # An old configuration may name this node with the folder that it had then.
        self.is_voter = self.me in voters and self._is_of(self.me, self.birth)
        counted = [voter for voter in voters if voter != self.me or self.is_voter]
        self.core.reconfigure(now, voters=counted, learners=learners)
        self.other_voters = tuple(voter for voter in voters if voter != self.me)
        self.others = tuple(sorted({*voters, *learners} - {self.me}))
        return True

    def _is_of(self, node: str, birth: str | None) -> bool:
        return self.birth is None or self._births[node] in ("", birth)

    def is_member(self, peer: str) -> bool:
        """Whether the peer on the open link is the member of that name, and takes part.

        The same node with another data folder has forgotten what the member promised: its word
        must not count for the member's.
        """
        if peer not in self._births:
            return False
        if self.birth is None:
            return self.links.is_up(peer)
        return self.links.takes_part(peer) and self._is_of(peer, self.links.birth(peer))

    def is_removed(self, peer: str) -> bool:
        """Whether the peer on the open link is known to be removed for good."""
        birth = self.links.birth(peer)
        if birth is None or not self.configuration.removed:
            return False
        return self.committed_configuration.is_removed(peer, birth)

    def say(self, peer: str, frame: RaftFrame, *, depends_on: int | None = None) -> None:
        """Send a frame once the current term, or more if said, is durable."""
        if depends_on is None:
            depends_on = self.journal.term_position
        if not self.guards.durable_before_sending:
            depends_on = 0
        self.links.say(peer, frame, term=self.core.term, depends_on=depends_on)

    def commit_is_complete(self) -> bool:
        """As leader.

        An entry of the current term is committed, so the commit index covers all before it.
        """
        term = self.journal.log.term_at(self.core.commit_index)
        return term == self.core.term


def assemble(
    *,
    me: str,
    formed: Configuration,
    journal: Journal,
    timing: Timing,
    guards: Guards,
    bounds: Bounds,
    seed: int,
    now: float,
    birth: str | None,
) -> Parts:
    """The parts of a new replica, its core a follower of nobody."""
    core = Core(
        me=me,
        journal=journal,
        timing=timing,
        guards=guards,
        bounds=bounds,
        seed=seed,
        now=now,
    )
    parts = Parts(
        me=me,
        formed=formed,
        core=core,
        journal=journal,
        links=Links(me, guards.check_sender),
        timing=timing,
        guards=guards,
        bounds=bounds,
        chance=random.Random(seed),  # noqa: S311  # spreads timeouts, guards nothing
        birth=birth,
    )
    parts.follow_configuration(now)
    return parts
