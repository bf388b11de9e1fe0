"""How empty voters form a cluster once, and how one that was emptied later is found out.

Each data folder gets a random *birth* when it is first used. Voters tell each other their births;
one that has heard all promises, durably, to form with exactly these; once every voter has promised
the same, the cluster is formed. A folder whose birth is not the promised one was emptied since: it
has forgotten votes and entries that the others count on, and must not take part. Nobody votes
before the cluster is formed, so nothing can be lost before. Forming needs all voters; everything
after needs a majority.

A newcomer never forms a cluster. It takes part once a member tells it that the configuration holds
it with the birth of its folder. Whoever hears that it was removed, with its birth, is out for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from molecule.raft.configuration import Configuration
from molecule.wire.v1 import raft_pb2
from molecule.wire.v1.raft_pb2 import RaftFrame

_NOBODY: Final = Configuration()


@dataclass(frozen=True, slots=True)
class FormationRecord:
    """What a voter keeps about forming.

    The births it promised to form with, and whether all agreed.
    """

    births: Mapping[str, str]
    is_formed: bool


@dataclass(slots=True)
class Formation:
    """One voter's view until the cluster is formed, and its answer to those who ask afterwards."""

    cluster: str
    me: str
    voters: tuple[str, ...]
    birth: str
    promised: dict[str, str] = field(default_factory=dict)
    is_formed: bool = False
    refusal: str | None = None
    """Why this node must not go on."""
    is_out: bool = False
    """The refusal is for good, even if this node takes part already."""
    waits_because: str | None = None
    """What the last member said why this newcomer is not admitted."""
    _contradicted_by: set[str] = field(default_factory=set)
    """Peers that know this node with another folder."""
    _heard: dict[str, str] = field(default_factory=dict)
    _agreed: set[str] = field(default_factory=set)
    _saving: FormationRecord | None = None
    _is_unsaved: bool = False

    def __post_init__(self) -> None:
        self._agreed.add(self.me)
        self._conclude()

    def record(self) -> FormationRecord:
        """What must be durable now."""
        return self._saving or FormationRecord(dict(self.promised), self.is_formed)

    def take_unsaved(self) -> bool:
        """Whether `record()` must be saved; True once for each change. Answer with `saved`."""
        unsaved, self._is_unsaved = self._is_unsaved, False
        return unsaved

    def saved(self) -> None:
        """The record is durable: from now on it may be told."""
        if self._saving is not None:
            self.promised, self.is_formed = dict(self._saving.births), self._saving.is_formed
            self._saving = None
            self._conclude()

    @property
    def is_newcomer(self) -> bool:
        """Whether this node joins a cluster that others formed."""
        return self.me not in self.voters

    @property
    def binding_refusal(self) -> str | None:
        """Why this node must stop now."""
        return self.refusal if self.is_out or not self.is_formed else None

    def frame(self, in_force: Configuration, committed: Configuration) -> RaftFrame:
        """What to tell each peer on a new link and after each change."""
        # Once a configuration was set, it says who is in; before, the births of the founders do.
        members = in_force.members if in_force.index else ()
        return RaftFrame(
            formation=raft_pb2.Formation(
                cluster=self.cluster,
                birth=self.birth,
                births=self.promised,
                formed=self.is_formed,
                members={member.node: member.birth for member in members},
                removed=[
                    raft_pb2.RemovedMember(node=gone.node, birth=gone.birth)
                    for gone in committed.removed
                ],
            )
        )

    def hear(self, peer: str, told: raft_pb2.Formation, in_force: Configuration = _NOBODY) -> None:
        """What a peer told; sets `refusal` if this node must not go on."""
        self._contradicted_by.discard(peer)
        if told.cluster != self.cluster:
            self.refusal = (
                f"{peer} belongs to the cluster {told.cluster!r}, this node to {self.cluster!r}."
                " Correct the addresses of the peers or the name of the cluster"
            )
        elif any((gone.node, gone.birth) == (self.me, self.birth) for gone in told.removed):
            self.is_out = True
            self.refusal = (
                f"{self.me} was removed from the cluster, says {peer}. To let it join again,"
                " give it an empty data folder: it counts as a new member"
            )
        elif not self.is_newcomer and self._is_known_otherwise(told):
            # Whoever formed a cluster of one again, on an empty folder, must hear of it too.
            self._contradicted_by.add(peer)
            if self.is_as_known(peer, told, in_force) or self._most_contradict(in_force):
                self.is_out = True
                self.refusal = self._emptied(peer)
        elif not self.is_formed:
            if self.is_newcomer:
                self._hear_as_newcomer(peer, told)
            else:
                self._hear_as_founder(peer, told)

    def is_as_known(self, peer: str, told: raft_pb2.Formation, in_force: Configuration) -> bool:
        """Whether a peer is the member that is known here, or none that is known.

        One with another folder may have that of another cluster: then it is the one that is wrong,
        and its word alone must not end a voter that all others know.
        """
        known = in_force.member(peer)
        birth = self.promised.get(peer) if known is None else known.birth
        return not birth or birth == told.birth

    def _most_contradict(self, in_force: Configuration) -> bool:
        return len(self._contradicted_by) * 2 > len(in_force.voters or self.voters)

    def _is_known_otherwise(self, told: raft_pb2.Formation) -> bool:
        known = told.members or told.births
        return known.get(self.me, self.birth) != self.birth

    def _emptied(self, peer: str) -> str:
        return (
            f"this voter was emptied: {peer} knows {self.me} with another data folder."
            " A voter without its journal could undo what was acknowledged."
            " Put the old data folder back,"
            " or remove this node from the cluster and let it join again"
        )

    def _hear_as_newcomer(self, peer: str, told: raft_pb2.Formation) -> None:
        birth = told.members.get(self.me)
        if birth == self.birth:
            self.waits_because = None
            if self._saving is None:
                self._save({}, is_formed=True)
        elif birth is None:
            self.waits_because = f"{peer} does not know it as a member yet"
        else:
            # No refusal: this peer may not have heard yet that the old member was replaced.
            self.waits_because = (
                f"{peer} knows {self.me} with another data folder; remove that member first"
            )

    def _hear_as_founder(self, peer: str, told: raft_pb2.Formation) -> None:
        known = told.members or told.births
        if known and self.me not in known:
            self.refusal = self._emptied(peer)
            return
        if told.formed and not told.births and not self.promised:
            self.refusal = (
                f"{peer} was formed without {self.me}, which is named in `voters` here:"
                " a node that joins a cluster is not one of the voters that form it"
            )
            return
        if told.formed:
            self._save(dict(told.births) or self.promised, is_formed=True)
            return
        expected = self.promised.get(peer)
        if expected is not None and expected != told.birth:
            self.refusal = (
                f"{peer} was emptied while the cluster was being formed."
                " Nothing was accepted yet: empty the data folders of all voters and start again"
            )
            return
        self._heard[peer] = told.birth
        if self.promised and dict(told.births) == self.promised:
            self._agreed.add(peer)
        self._conclude()

    def _conclude(self) -> None:
        if self.is_formed or self._saving is not None:
            return
        if not self.promised:
            births = {**self._heard, self.me: self.birth}
            if set(births) == set(self.voters):
                self._save(births, is_formed=False)
        elif self._agreed == set(self.voters):
            self._save(self.promised, is_formed=True)

    def _save(self, births: Mapping[str, str], *, is_formed: bool) -> None:
        self._saving = FormationRecord(dict(births), is_formed)
        self._is_unsaved = True
