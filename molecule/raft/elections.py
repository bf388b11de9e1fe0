"""Who may campaign, who gets a vote, and when (rows 5 and 6, and votes in doubt).

The core counts and remembers votes. This file decides when it campaigns (after a majority said in
a pre-vote that it would be heard), which requests reach it, and which answers count.
"""

from dataclasses import dataclass, field
from typing import Final

from molecule.raft.parts import Parts
from molecule.wire.v1.raft_pb2 import (
    PreVoteAnswer,
    PreVoteRequest,
    RaftFrame,
    TermTooLow,
    TransferLeadership,
    VoteAnswer,
    VoteRequest,
)

_FADING: Final = 0.9


@dataclass(slots=True)
class Ballot:
    """Grants of one election or pre-vote, each voter once.

    A voter that lost its tail may have acknowledged what it no longer has. Its vote, or its own
    candidacy, is safe only if all voters grant: then whoever still holds an entry has compared
    logs with the candidate.
    """

    me: str
    voters: tuple[str, ...]
    term: int
    in_doubt: bool
    _firm: set[str] = field(default_factory=set)
    _conditional: set[str] = field(default_factory=set)
    _counted: set[str] = field(default_factory=set)

    def hears(self, peer: str, term: int) -> bool:
        """Whether an answer of this peer in this term belongs to it."""
        return term == self.term and peer in self.voters

    def grant(self, peer: str, *, only_if_unanimous: bool) -> list[str]:
        """Count a grant; the peers whose grants count from now on."""
        (self._conditional if only_if_unanimous else self._firm).add(peer)
        countable = self._countable() - self._counted
        self._counted |= countable
        return sorted(countable)

    @property
    def is_won(self) -> bool:
        """More than half of the voters, the candidate included, count."""
        if self.in_doubt and len(self._counted) + 1 < len(self.voters):
            return False
        return (len(self._counted) + 1) * 2 > len(self.voters)

    def _countable(self) -> set[str]:
        granted = self._firm | self._conditional
        if len(granted | {self.me}) == len(self.voters):
            return granted
        return set() if self.in_doubt else self._firm


@dataclass(slots=True)
class Elections:
    """One voter's election timer, pre-vote and votes."""

    parts: Parts
    deadline: float
    _heard_at: float = float("-inf")
    _heard_from: str | None = None
    _pre_vote: Ballot | None = None
    _vote: Ballot | None = None
    _is_announced: bool = False
    _slowest_sync: float = 0.0
    """Of the last syncs, fading: a campaign waits for two of them, here and at the voters."""
    _yielded_to: set[str] = field(default_factory=set)
    """Peers that were given time to campaign since a leader was heard."""

    # --- the timer ----------------------------------------------------------------------------

    def restart_timer(self, now: float) -> None:
        """Wait a whole election timeout, chosen anew so that voters seldom campaign together."""
        timing = self.parts.timing
        spread = timing.election_max - timing.election_min
        self.deadline = now + timing.election_min + spread * self.parts.chance.random()

    def sync_took(self, seconds: float) -> None:
        """A write of the journal became durable after this time."""
        bounded = min(seconds, self.parts.timing.election_max)
        self._slowest_sync = max(bounded, self._slowest_sync * _FADING)

    def _wait_for_votes(self, now: float) -> None:
        """Restart the timer so late that votes, which wait for disks, can arrive before."""
        self.restart_timer(now)
        self.deadline += 2 * self._slowest_sync

    def wake_at(self) -> float:
        """When this node wants to campaign unless it hears a leader; never if it does not count."""
        if not self.parts.is_voter:
            return float("inf")
        if self.parts.guards.pre_vote:
            return self.deadline
        return self.parts.core.election_deadline

    def heard_leader(self, now: float, leader: str) -> None:
        """A leader of the current term gave a sign of life."""
        self._heard_at, self._heard_from = now, leader
        self._pre_vote = self._vote = None
        self._yielded_to.clear()
        self.restart_timer(now)

    def link_broke(self, now: float, peer: str) -> None:
        """The leader's link broke: suspect it soon, but ask the others before doing anything."""
        if peer == self._heard_from and not self.parts.core.is_leader:
            soon = now + self.parts.timing.election_min / 3 * self.parts.chance.random()
            self.deadline = min(self.deadline, soon)

    def is_quiet(self, now: float) -> bool:
        """Whether this voter has no reason to believe in a living leader."""
        if self.parts.core.is_leader:
            return False
        leader = self._heard_from
        if leader is not None and not self.parts.links.is_up(leader):
            return True
        return now - self._heard_at >= self.parts.timing.election_min

    def round(self, now: float, *, disk_hangs: bool) -> None:
        """Start a pre-vote when the time has come."""
        parts = self.parts
        if not parts.guards.pre_vote or parts.core.is_leader or not parts.is_voter:
            return
        if parts.core.is_candidate and not disk_hangs and not self._own_vote_is_durable():
            # Nobody was asked yet. Another campaign now would only begin the same wait again.
            self._wait_for_votes(now)
        if now < self.deadline:
            return
        self.restart_timer(now)
        if disk_hangs or not self._may_lead():
            return
        if len(parts.voters) == 1:
            self._campaign(now, announced=False)
            return
        journal = parts.journal
        # Votes that are still on their way count until the next campaign begins.
        self._pre_vote = self._ballot(parts.core.term + 1)
        for peer in parts.other_voters:
            request = PreVoteRequest(
                term=parts.core.term + 1,
                last_index=journal.last_index,
                last_term=journal.last_term,
            )
            parts.say(peer, RaftFrame(pre_vote_request=request))

    def _own_vote_is_durable(self) -> bool:
        journal = self.parts.journal
        return journal.durable_position >= journal.term_position

    def _may_lead(self) -> bool:
        # A leader that cannot write its first entry helps nobody.
        return self.parts.is_voter and self.parts.journal.has_room(
            self.parts.bounds.reserve_bytes, 1
        )

    def _ballot(self, term: int) -> Ballot:
        return Ballot(self.parts.me, self.parts.voters, term, self._is_in_doubt())

    def _is_in_doubt(self) -> bool:
        return self.parts.journal.is_doubtful and self.parts.guards.durable_journal

    def _campaign(self, now: float, *, announced: bool) -> None:
        core = self.parts.core
        self._pre_vote = None
        self._is_announced = announced
        self._vote = self._ballot(core.term + 1)
        self._wait_for_votes(now)
        core.campaign(now, self.parts.links.peers_up())

    # --- pre-votes ----------------------------------------------------------------------------

    def pre_vote_requested(self, now: float, peer: str, request: PreVoteRequest) -> None:
        """Tell `peer` if this voter would vote for it."""
        core, journal = self.parts.core, self.parts.journal
        if request.term <= core.term:
            self.parts.say(peer, RaftFrame(term_too_low=TermTooLow()))
            return
        has_all = (request.last_term, request.last_index) >= (journal.last_term, journal.last_index)
        if has_all and self.is_quiet(now):
            answer = PreVoteAnswer(term=request.term, only_if_unanimous=self._is_in_doubt())
            self.parts.say(peer, RaftFrame(pre_vote_answer=answer))
            self._yield_to(now, peer)

    def _yield_to(self, now: float, peer: str) -> None:
        """Give `peer` time for its campaign before starting one here.

        Once only: a peer that is not heard by others must not keep this voter waiting for ever.
        """
        if peer not in self._yielded_to:
            self._yielded_to.add(peer)
            self._wait_for_votes(now)

    def pre_vote_answered(self, now: float, peer: str, answer: PreVoteAnswer) -> None:
        """`peer` would vote for this node."""
        ballot = self._pre_vote
        if ballot is None or not ballot.hears(peer, answer.term):
            return
        if answer.term != self.parts.core.term + 1:
            return
        ballot.grant(peer, only_if_unanimous=answer.only_if_unanimous)
        if ballot.is_won:
            self._campaign(now, announced=False)

    # --- votes --------------------------------------------------------------------------------

    def request(self, peer: str, term: int, last_index: int, last_term: int) -> None:
        """The core asks `peer` for its vote."""
        if not self.parts.guards.pre_vote and (self._vote is None or self._vote.term != term):
            self._vote = self._ballot(term)
        request = VoteRequest(
            term=term, last_index=last_index, last_term=last_term, announced=self._is_announced
        )
        self.parts.say(peer, RaftFrame(vote_request=request))

    def requested(self, now: float, peer: str, request: VoteRequest) -> None:
        """`peer` asks for a vote. A learner answers too: it may be a voter without knowing yet."""
        core, guards = self.parts.core, self.parts.guards
        if guards.pre_vote:
            if request.term < core.term:
                self.parts.say(peer, RaftFrame(term_too_low=TermTooLow()))
                return
            if not request.announced and not self.is_quiet(now):
                return
        message = {
            "type": "request_vote",
            "term": request.term,
            "last_log_index": request.last_index,
            "last_log_term": request.last_term,
        }
        core.receive(now, peer, message, ())

    def grant(self, now: float, peer: str, term: int) -> None:
        """The core gives `peer` its vote."""
        self._pre_vote = self._vote = None
        self._wait_for_votes(now)
        answer = VoteAnswer(term=term, only_if_unanimous=self._is_in_doubt())
        self.parts.say(peer, RaftFrame(vote_answer=answer))

    def answered(self, now: float, peer: str, answer: VoteAnswer, reachable: list[str]) -> None:
        """`peer` gave this node its vote."""
        core = self.parts.core
        if not self.parts.guards.check_sender:
            message = {"type": "response_vote", "term": answer.term}
            core.receive(now, peer, message, reachable)
            return
        ballot = self._vote
        if ballot is None or not ballot.hears(peer, answer.term) or answer.term != core.term:
            return
        for granted in ballot.grant(peer, only_if_unanimous=answer.only_if_unanimous):
            if not core.is_candidate:
                return
            message = {"type": "response_vote", "term": answer.term}
            core.receive(now, granted, message, reachable)

    # --- terms --------------------------------------------------------------------------------

    def term_too_low(self, now: float, peer: str, term: int) -> None:
        """`peer` is in a later term; enter it, so that an election can be won above it."""
        if self.parts.guards.pre_vote and term > self.parts.core.term:
            self.parts.core.adopt_term(now, term, peer)
            self._pre_vote = self._vote = None

    def transfer_requested(self, now: float, peer: str) -> None:
        """The leader asks this node to take over."""
        core = self.parts.core
        if peer == core.leader_id and not core.is_leader and self._may_lead():
            self._campaign(now, announced=True)

    def hand_over(self, peer: str) -> None:
        """As leader: ask `peer`, which has every entry, to take over."""
        self.parts.say(peer, RaftFrame(transfer_leadership=TransferLeadership()))
