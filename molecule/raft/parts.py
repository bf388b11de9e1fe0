"""What the duties of a replica share: the core, the journal, the links and the settings.

Holds no decision. Duties never call each other through it; the replica tells each what it needs to
know.
"""

import random
from dataclasses import dataclass

from molecule.raft.journal import Journal
from molecule.raft.library import Core
from molecule.raft.links import Links
from molecule.raft.settings import Bounds, Guards, Timing
from molecule.wire.v1.raft_pb2 import RaftFrame


@dataclass(frozen=True, slots=True)
class Parts:
    """Built once by the replica."""

    me: str
    voters: tuple[str, ...]
    others: tuple[str, ...]
    core: Core
    journal: Journal
    links: Links
    timing: Timing
    guards: Guards
    bounds: Bounds
    chance: random.Random

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
    voters: tuple[str, ...],
    journal: Journal,
    timing: Timing,
    guards: Guards,
    bounds: Bounds,
    seed: int,
    now: float,
) -> Parts:
    """The parts of a new replica, its core a follower of nobody."""
    core = Core(
        me=me,
        voters=voters,
        journal=journal,
        timing=timing,
        guards=guards,
        bounds=bounds,
        seed=seed,
        now=now,
    )
    return Parts(
        me=me,
        voters=voters,
        others=tuple(sorted(set(voters) - {me})),
        core=core,
        journal=journal,
        links=Links(me, guards.check_sender),
        timing=timing,
        guards=guards,
        bounds=bounds,
        chance=random.Random(seed),  # noqa: S311  # spreads timeouts, guards nothing
    )
