"""Frames to the duty they belong to, and what the core says to frames.

Holds no rule of consensus of its own except which frames are stale, and when a lost tail is made
good. The replica calls `core_said` after everything that may have made the core speak.
"""

from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from molecule.raft.appends import Appends
from molecule.raft.elections import Elections
from molecule.raft.freshness import Freshness
from molecule.raft.keepalive import KeepAlives
from molecule.raft.membership import Membership
from molecule.raft.parts import Parts
from molecule.wire.v1.raft_pb2 import Append, KeepAlive, RaftFrame, TermTooLow

_ANSWERS: Final = frozenset(
    {"append_answer", "keep_alive_answer", "vote_answer", "pre_vote_answer"}
)
"""What counts: heard from members only."""


@dataclass(slots=True)
class Dispatch:
    """The switchboard of one replica."""

    parts: Parts
    appends: Appends
    elections: Elections
    keep_alives: KeepAlives
    membership: Membership
    freshness: Freshness = field(default_factory=Freshness)
    _core_hears: str | None = None
    """The leader whose append the core was given and has yet to answer."""

    # --- frames -------------------------------------------------------------------------------

    def read(self, peer: str, connection: int, data: bytes) -> RaftFrame | None:
        """The frame in these bytes; None when it is malformed, stale or repeated."""
        frame = RaftFrame()
        try:
            frame.ParseFromString(data)
        except DecodeError:
            return None
        return frame if self.parts.links.accepts(peer, connection, frame) else None

    def hear(self, now: float, peer: str, frame: RaftFrame) -> None:
        """Hear a frame that is not stale."""
        elections = self.elections
        body = frame.WhichOneof("body")
        if body == "formation":
            self.membership.hear(now, peer, frame.formation)
            return
        if self.parts.is_removed(peer) or (body in _ANSWERS and not self.parts.is_member(peer)):
            return
        match body:
            case "append":
                self._hear_append(now, peer, frame.term, frame.append)
            case "append_answer":
                slot = self.appends.answered(now, peer, frame.term, frame.append_answer)
                if slot is not None:
                    self.keep_alives.rounds.alive(peer, slot.sent_at)
            case "keep_alive":
                self._hear_keep_alive(now, peer, frame.term, frame.keep_alive)
            case "keep_alive_answer":
                if self.parts.core.is_leader and frame.term == self.parts.core.term:
                    self.keep_alives.answered(now, peer, frame.keep_alive_answer.round)
            case "pre_vote_request":
                elections.pre_vote_requested(now, peer, frame.pre_vote_request)
            case "pre_vote_answer":
                elections.pre_vote_answered(now, peer, frame.pre_vote_answer)
            case "vote_request":
                elections.requested(now, peer, frame.vote_request)
            case "vote_answer":
                reachable = self.appends.free_peers()
                elections.answered(now, peer, frame.vote_answer, reachable)
            case "term_too_low":
                elections.term_too_low(now, peer, frame.term)
            case "transfer_leadership":
                if frame.term == self.parts.core.term:
                    elections.transfer_requested(now, peer)
            case _:
                pass

    def is_news(self, frame: RaftFrame) -> bool:
        """Whether a round has anything to do because of this frame, once it was heard.

        That a follower still follows is remembered until the next one that is due.
        """
        is_sign_of_life = frame.HasField("keep_alive_answer")
        return not is_sign_of_life or self.keep_alives.wants_answers

    def _hear_append(self, now: float, peer: str, term: int, append: Append) -> None:
        if self._is_stale(peer, term):
            return
        self._core_hears = peer
        heard = self.appends.receive(now, peer, term, append)
        if heard and self.parts.core.leader_id == peer:
            self.elections.heard_leader(now, peer)
            if append.commit_is_complete:
                self._regain_trust(peer, term, append.commit_index)

    def _hear_keep_alive(self, now: float, peer: str, term: int, keep_alive: KeepAlive) -> None:
        if self._is_stale(peer, term):
            return
        guards = self.parts.guards
        if guards.keepalives:
            clamp = guards.clamp_commit or not keep_alive.snapshot_path
            self.appends.hear(now, peer, term, commit_index=keep_alive.commit_index, clamp=clamp)
            self.elections.heard_leader(now, peer)
        self.keep_alives.answer(now, peer, keep_alive.round)
        if keep_alive.commit_is_complete:
            as_of = now - keep_alive.followed_ms_ago / 1000
            self.freshness.heard(keep_alive.leader_commit_index, as_of=as_of)
            self._regain_trust(peer, term, keep_alive.leader_commit_index)

    def _is_stale(self, peer: str, term: int) -> bool:
        """Tell a leader of an older term so, or it would never learn it.

        The library says nothing.
        """
        if term >= self.parts.core.term:
            return False
        if self.parts.guards.pre_vote:
            self.parts.say(peer, RaftFrame(term_too_low=TermTooLow()))
        return True

    def _regain_trust(self, leader: str, term: int, commit_index: int) -> None:
        """Make a lost tail good once this node holds all that its leader knows to be committed."""
        journal = self.parts.journal
        if journal.is_doubtful and self.appends.matched_index(leader, term) >= commit_index:
            journal.trust()

    def hear_formation(self, now: float, peer: str, frame: RaftFrame) -> None:
        """The only frame that a node hears before it takes part."""
        if frame.WhichOneof("body") == "formation":
            self.membership.hear(now, peer, frame.formation)

    def core_said(self, now: float) -> None:
        """Make frames of what the core said since the last call."""
        for peer, message in self.parts.core.sent():
            match message["type"]:
                case "append_entries" if "serialized" not in message:
                    self.appends.send(now, peer, message)
                case "next_node_idx" if self._core_hears == peer:
                    self.appends.answer_of_core(peer, message)
                case "request_vote":
                    self.elections.request(
                        peer, message["term"], message["last_log_index"], message["last_log_term"]
                    )
                case "response_vote":
                    self.elections.grant(now, peer, message["term"])
                case _:
                    pass
        self._core_hears = None
