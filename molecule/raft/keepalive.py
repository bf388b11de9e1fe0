"""Signs of life and majority rounds (rows 7 and 8).

Who is alive, who still leads, when a read is fresh.

A keep-alive waits for no disk, but it stops when a sync takes longer than an election: a node
whose disk hangs is not alive. Every keep-alive belongs to a round; a round a majority answered
proves leadership at the moment it was begun.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from molecule.raft.outbox import BarrierAnswer
from molecule.raft.parts import Parts
from molecule.wire.v1.raft_pb2 import KeepAlive, KeepAliveAnswer, RaftFrame


@dataclass(slots=True)
class Rounds:
    """Rounds of one leader, and when the newest round that each follower answered was begun.

    Learners answer too; only voters make a majority.
    """

    others: tuple[str, ...]
    voters: tuple[str, ...] | None = None
    """Of the others, those that count; None: all."""
    number: int = 0
    _begun_at: dict[int, float] = field(default_factory=dict)
    _answered: dict[str, int] = field(default_factory=dict)
    _alive_from: dict[str, float] = field(default_factory=dict)

    def lead(self, now: float) -> None:
        """A new leader: its election was its first proof."""
        self._begun_at.clear()
        self._answered = dict.fromkeys(self.others, self.number)
        self._alive_from = dict.fromkeys(self.others, now)

    def begin(self, now: float) -> int:
        """The number of a new round."""
        self.number += 1
        self._begun_at[self.number] = now
        return self.number

    def answered(self, peer: str, number: int, *, is_alive: bool = True) -> None:
        """A follower answered a round."""
        begun_at = self._begun_at.get(number)
        if begun_at is not None and number > self._answered.get(peer, 0):
            self._answered[peer] = number
            if is_alive:
                self.alive(peer, begun_at)
            lowest = min(self._answered.values())
            for old in [old for old in self._begun_at if old <= lowest]:
                del self._begun_at[old]

    def alive(self, peer: str, since: float) -> None:
        """A follower answered something that was sent at this moment."""
        self._alive_from[peer] = max(since, self._alive_from.get(peer, since))

    def forget_before(self, moment: float) -> None:
        """Rounds begun before this will not be waited for."""
        for old in [old for old, begun in self._begun_at.items() if begun < moment]:
            del self._begun_at[old]

    def majority_number(self) -> int:
        """The newest round that a majority, the leader included, answered."""
        return int(_of_majority([self._answered.get(v, 0) for v in self._counted], self.number))

    def majority_from(self, now: float) -> float:
        """The last moment at which a majority is known to have followed."""
        never = float("-inf")
        return _of_majority([self._alive_from.get(v, never) for v in self._counted], now)

    def alive_since(self, peer: str) -> float:
        """The last moment at which this peer is known to have followed."""
        return self._alive_from.get(peer, float("-inf"))

    def follow(self, now: float, others: tuple[str, ...], voters: tuple[str, ...]) -> None:
        """The configuration changed: a new peer has as much time as if it were heard just now."""
        for known in (self._answered, self._alive_from):
            for gone in [peer for peer in known if peer not in others]:
                del known[gone]
        for new in others:
            self._answered.setdefault(new, 0)
            self._alive_from.setdefault(new, now)
        self.others, self.voters = others, voters

    @property
    def _counted(self) -> tuple[str, ...]:
        return self.others if self.voters is None else self.voters


def _of_majority(others: Iterable[float], own: float) -> float:
    """The greatest value that more than half of all have reached."""
    ordered = sorted([*others, own], reverse=True)
    return ordered[len(ordered) // 2]


@dataclass(slots=True)
class KeepAlives:
    """Both ends of the keep-alives, and the barriers that wait for their rounds."""

    parts: Parts
    rounds: Rounds
    next_at: float = 0.0
    _sync_begun_at: float | None = None
    _waiting: list[int] = field(default_factory=list)
    """Barriers of which no round was begun yet."""
    _hurries: bool = False
    """One of them does not wait for the round that is due next."""
    _asked: list[int] = field(default_factory=list)
    _asked_round: int = 0
    _asked_index: int = 0

    def lead(self, now: float) -> None:
        """Begin a leadership."""
        self.rounds.lead(now)
        self.next_at = now

    # --- the disk -----------------------------------------------------------------------------

    def sync_begun(self, now: float) -> None:
        """A write of the journal is on its way."""
        if self._sync_begun_at is None:
            self._sync_begun_at = now

    def sync_ended(self, now: float) -> float:
        """It is durable; how long it took."""
        begun, self._sync_begun_at = self._sync_begun_at, None
        return 0.0 if begun is None else now - begun

    def disk_hangs(self, now: float) -> bool:
        """A sync has taken longer than an election timeout."""
        begun = self._sync_begun_at
        return begun is not None and now - begun > self.parts.timing.election_max

    # --- leader -------------------------------------------------------------------------------

    def round(self, now: float, behind: list[str]) -> None:
        """As leader: begin a round when one is due or a barrier waits for one."""
        is_due = now >= self.next_at
        wants_barrier = (is_due or self._hurries) and self._begin_barriers()
        if not is_due and not wants_barrier:
            return
        self.next_at = now + self.parts.timing.keepalive
        if self.disk_hangs(now):
            return
        self.rounds.forget_before(now - 2 * self.parts.timing.step_down)
        number = self.rounds.begin(now)
        if wants_barrier:
            self._asked_round = number
        for peer in self.parts.others:
            self.tell(now, peer, number, snapshot_path=peer in behind)

    def tell(self, now: float, peer: str, number: int, *, snapshot_path: bool = False) -> None:
        """One keep-alive; number 0 asks for no answer."""
        core = self.parts.core
        index = core.commit_index
        keep_alive = KeepAlive(
            round=number,
            commit_index=index if snapshot_path else min(index, core.match_index(peer)),
            leader_commit_index=index,
            commit_is_complete=self.parts.commit_is_complete(),
            snapshot_path=snapshot_path,
            followed_ms_ago=math.ceil(max(0.0, now - self.rounds.majority_from(now)) * 1000),
        )
        self.parts.say(peer, RaftFrame(keep_alive=keep_alive))

    def answered(self, now: float, peer: str, number: int) -> None:
        """A follower answered a keep-alive of this term."""
        self.rounds.answered(peer, number, is_alive=self.parts.guards.keepalives)
        if self.parts.guards.keepalives:
            self.parts.core.heard(now, peer)

    def wake_at(self, now: float) -> float:
        """When the next round is due, or when this leader must step down."""
        if not self.parts.guards.majority_rounds:
            return self.next_at
        return min(self.next_at, self.rounds.majority_from(now) + self.parts.timing.step_down)

    def must_step_down(self, now: float) -> bool:
        """No majority has followed for too long."""
        if not self.parts.guards.majority_rounds:
            return False
        return now - self.rounds.majority_from(now) >= self.parts.timing.step_down

    # --- follower -----------------------------------------------------------------------------

    def answer(self, now: float, leader: str, number: int) -> None:
        """Answer a keep-alive of the current leader."""
        if number and not self.disk_hangs(now):
            answer = KeepAliveAnswer(round=number)
            self.parts.say(leader, RaftFrame(keep_alive_answer=answer))

    # --- barriers -----------------------------------------------------------------------------

    def barrier(self, ticket: int, *, at_once: bool = True) -> None:
        """As leader: answer this ticket after a majority round begun from now on.

        Not `at_once`: after the one that is due next anyway.
        """
        self._waiting.append(ticket)
        self._hurries = self._hurries or at_once

    @property
    def wants_answers(self) -> bool:
        """Whether a barrier can be answered, or begun, as soon as a follower answered a round."""
        return bool(self._asked) or self._hurries

    def _begin_barriers(self) -> bool:
        """Let the waiting barriers share the next round, one such round at a time."""
        if not self._waiting or self._asked or not self.parts.commit_is_complete():
            return False
        self._asked, self._waiting, self._hurries = self._waiting, [], False
        self._asked_index = self.parts.core.commit_index
        self._asked_round = self.rounds.number + 1
        return True

    def answered_barriers(self) -> list[BarrierAnswer]:
        """Barriers whose round a majority answered."""
        if not self.parts.guards.majority_rounds:
            # The library has no such rounds: a leader believes itself.
            answered, self._waiting = self._waiting, []
            return [BarrierAnswer(ticket, self.parts.core.commit_index) for ticket in answered]
        if not self._asked or self.rounds.majority_number() < self._asked_round:
            return []
        answered, self._asked = self._asked, []
        return [BarrierAnswer(ticket, self._asked_index) for ticket in answered]

    def lose_barriers(self) -> list[BarrierAnswer]:
        """Leadership is lost; nothing it could say would be fresh."""
        lost = [*self._asked, *self._waiting]
        self._asked, self._waiting, self._hurries = [], [], False
        return [BarrierAnswer(ticket, None) for ticket in lost]
