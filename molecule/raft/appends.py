"""Entries from leader to follower, one append at a time (rows 3 and 4).

The core matches logs and moves indexes; this file decides which appends and answers it gets to
see. Entries a follower already has are never cut, and it commits only what it knows to be equal to
the leader's.
"""

from dataclasses import dataclass, field

from molecule.model.errors import invariant
from molecule.raft import configuration
from molecule.raft.library import Message
from molecule.raft.log import COMMAND, CONFIGURATION, NO_OPERATION, Entry, Log
from molecule.raft.parts import Parts
from molecule.wire.v1.raft_pb2 import Append, AppendAnswer, HeldEntry, RaftFrame


@dataclass(frozen=True, slots=True)
class Slot:
    """The one unanswered append of a follower."""

    connection: int
    term: int
    id: int
    sent_at: float

    @property
    def key(self) -> tuple[int, int, int]:
        """What an answer must repeat."""
        return self.connection, self.term, self.id


@dataclass(frozen=True, slots=True)
class Fit:
    """What of an append is news: entries behind `previous_index`, all before being equal."""

    previous_index: int
    previous_term: int
    entries: list[Entry]
    is_joined: bool
    """The entry at `previous_index` is equal here."""


def fit(log: Log, append: Append) -> Fit:
    """Cut from an append what this log holds already."""
    previous, term = append.previous_index, append.previous_term
    entries = [
        (command, previous + place, entry_term)
        for place, (command, entry_term) in enumerate(
            zip(append.entries, append.entry_terms, strict=True), start=1
        )
    ]
    head = log.head
    if previous < head.index:
        # Everything up to the head is committed, so the leader's entries there are the same.
        entries = entries[head.index - previous :]
        if previous + len(append.entries) < head.index:
            return Fit(previous + len(append.entries), term, [], is_joined=True)
        previous, term = head.index, head.term
    if log.term_at(previous) != term:
        return Fit(previous, term, entries, is_joined=False)
    equal = 0
    for _, index, entry_term in entries:
        if log.term_at(index) != entry_term:
            break
        previous, term, equal = index, entry_term, equal + 1
    return Fit(previous, term, entries[equal:], is_joined=True)


def is_well_formed(append: Append) -> bool:
    """Only entries of our kinds, each with a term: nothing else may ever reach the core."""
    if len(append.entries) != len(append.entry_terms):
        return False
    return all(
        entry[:1] == COMMAND
        or entry == NO_OPERATION
        or (entry[:1] == CONFIGURATION and configuration.is_well_formed(entry[1:]))
        for entry in append.entries
    )


@dataclass(slots=True)
class Appends:
    """Both ends of replication.

    The leader's half is forgotten with the term, each slot with its link.
    """

    parts: Parts
    _slots: dict[str, Slot] = field(default_factory=dict)
    _next_id: int = 1
    _unproved: set[str] = field(default_factory=set)
    """Peers of which this leader does not know on this link where they stand."""
    _paused_until: dict[str, float] = field(default_factory=dict)
    _told_commit: dict[str, int] = field(default_factory=dict)
    _matched: tuple[int, str, int] = (0, "", 0)
    """Term and leader, and the last index known to be equal to that leader's."""
    _answering: int = 0
    _held: dict[str, HeldEntry] = field(default_factory=dict)
    """By peer, the newest entry that it said is on its disk; outlives links and leaderships."""

    # --- leader -------------------------------------------------------------------------------

    def lead(self) -> None:
        """Begin a leadership: nothing is known of anybody."""
        self._slots.clear()
        self._paused_until.clear()
        self._told_commit.clear()
        self._unproved = set(self.parts.others)

    def link_changed(self, peer: str) -> None:
        """Nothing said on the old link counts any more."""
        self._slots.pop(peer, None)
        self._paused_until.pop(peer, None)
        self._told_commit.pop(peer, None)
        self._unproved.add(peer)
        counts = peer in self.parts.others and self.parts.core.is_leader
        if self.parts.guards.check_sender and counts:
            self.parts.core.forget_match(peer)

    def probe(self, now: float, peer: str) -> None:
        """As leader: try the end of the log with this peer."""
        if peer not in self.parts.others:
            return
        self._tell_core(now, peer, self.parts.journal.last_index + 1, accepted=False, moves=True)
        self._unproved.add(peer)

    def expect(self, peers: set[str]) -> None:
        """These peers are sent entries from now on."""
        self._unproved |= peers

    def is_free(self, peer: str) -> bool:
        """Whether an append may be sent to this peer."""
        if not self.parts.is_member(peer):
            return False
        slot = self._slots.get(peer)
        if slot is None or not self.parts.guards.one_append_in_flight:
            return True
        return slot.term != self.parts.core.term

    def free_peers(self) -> list[str]:
        """Peers whom the core may send an append at any time."""
        return [peer for peer in self.parts.others if self.is_free(peer)]

    def lacking(self, now: float) -> list[str]:
        """Peers to send an append to right now.

        Free, within the journal, and not known to have everything.
        """
        core, journal = self.parts.core, self.parts.journal
        last, head = journal.last_index, journal.head.index
        return [
            peer
            for peer in self.parts.others
            if self.is_free(peer)
            and head < core.next_index(peer)
            and (core.next_index(peer) <= last or peer in self._unproved)
            and self._paused_until.get(peer, now) <= now
        ]

    def behind_journal(self) -> list[str]:
        """Peers that need entries the journal no longer holds."""
        head = self.parts.journal.head.index
        return [
            peer
            for peer in self.parts.others
            if self.parts.is_member(peer) and self.parts.core.next_index(peer) <= head
        ]

    def wake_at(self, now: float) -> float:
        """When the next pause ends."""
        return min((end for end in self._paused_until.values() if end > now), default=float("inf"))

    def send(self, now: float, peer: str, message: Message) -> None:
        """The core's append to a peer; takes the slot."""
        if message["prevLogIdx"] is None:
            return
        parts = self.parts
        entries: list[Entry] = message["entries"]
        append = Append(
            id=self._next_id,
            previous_index=message["prevLogIdx"],
            previous_term=message["prevLogTerm"],
            commit_index=message["commit_index"],
            commit_is_complete=parts.commit_is_complete(),
            entry_terms=[entry[2] for entry in entries],
            entries=[entry[0] for entry in entries],
        )
        self._slots[peer] = Slot(parts.links.connection(peer), parts.core.term, self._next_id, now)
        self._next_id += 1
        self._told_commit[peer] = min(append.commit_index, append.previous_index + len(entries))
        parts.say(peer, RaftFrame(append=append))

    def commit_to_tell(self, peer: str) -> int | None:
        """A commit index that this peer could use and was not told.

        Row 13 wants it told at once.
        """
        index = min(self.parts.core.commit_index, self.parts.core.match_index(peer))
        if index <= self._told_commit.get(peer, 0) or not self.parts.is_member(peer):
            return None
        return index

    def told_commit(self, peer: str, index: int) -> None:
        """Remember that a peer was told."""
        self._told_commit[peer] = max(index, self._told_commit.get(peer, 0))

    def answered(self, now: float, peer: str, term: int, answer: AppendAnswer) -> Slot | None:
        """A follower's answer; the slot it freed, or None if it answers nothing waited for."""
        core, guards = self.parts.core, self.parts.guards
        slot = self._slots.get(peer)
        if not core.is_leader or peer not in self.parts.others:
            return None
        if guards.check_sender:
            if term != core.term:
                return None
            asked = (self.parts.links.connection(peer), core.term, answer.id)
            if guards.one_append_in_flight and (slot is None or slot.key != asked):
                return None
        self._slots.pop(peer, None)
        if answer.no_room:
            self._paused_until[peer] = now + self.parts.timing.keepalive
            self._tell_core(now, peer, answer.next_index, accepted=False, moves=True)
            return slot
        self._paused_until.pop(peer, None)
        moves = guards.one_append_in_flight or answer.moves_next
        if answer.accepted:
            self._unproved.discard(peer)
            self._note_held(peer, answer.next_index - 1)
        self._tell_core(now, peer, answer.next_index, accepted=answer.accepted, moves=moves)
        return slot

    def _note_held(self, peer: str, index: int) -> None:
        journal, birth = self.parts.journal, self.parts.links.birth(peer)
        term = journal.log.term_at(index) if index > journal.head.index else None
        if birth is None or term is None:
            return
        known = self._held.get(peer)
        if known is None or known.birth != birth or (known.term, known.index) < (term, index):
            self._held[peer] = HeldEntry(birth=birth, term=term, index=index)

    def held_by(self, peer: str) -> HeldEntry:
        """The newest entry that this peer told here to be on its disk; without a term: none."""
        return self._held.get(peer, HeldEntry())

    def _tell_core(
        self, now: float, peer: str, next_index: int, *, accepted: bool, moves: bool
    ) -> None:
        bounded = max(1, min(next_index, self.parts.journal.last_index + 1))
        message = {
            "type": "next_node_idx",
            "next_node_idx": bounded,
            "reset": moves,
            "success": accepted,
        }
        self.parts.core.receive(now, peer, message, self.free_peers())

    # --- follower -----------------------------------------------------------------------------

    def receive(self, now: float, leader: str, term: int, append: Append) -> bool:
        """An append of a leader of this or a later term.

        False: it was refused before the core saw it.
        """
        parts = self.parts
        if not is_well_formed(append):
            return False
        size = sum(map(len, append.entries))
        if not parts.journal.has_room(size, len(append.entries) + 1):
            # The core must not see what the disk cannot take. The leader is heard all the same.
            self._hear(now, leader, term, commit_index=0)
            next_index = parts.journal.last_index + 1
            self._answer(leader, AppendAnswer(id=append.id, no_room=True, next_index=next_index))
            return True
        self._answering = append.id
        if not parts.guards.one_append_in_flight:
            self._pass_on(now, leader, term, append)
            return True
        part = fit(parts.journal.log, append)
        commit_index = append.commit_index
        if parts.guards.clamp_commit:
            commit_index = min(commit_index, append.previous_index + len(append.entries))
        if part.is_joined and not part.entries:
            self._matched = max(self._matched, (term, leader, part.previous_index))
            self._hear(now, leader, term, commit_index=min(commit_index, part.previous_index))
            self._accept(leader, part.previous_index + 1)
        else:
            self._refuse_cut_of_committed(part)
            self._append(now, leader, term, part, commit_index)
        return True

    def _refuse_cut_of_committed(self, part: Fit) -> None:
        if part.is_joined and part.previous_index < self.parts.journal.last_index:
            invariant(
                part.previous_index >= self.parts.core.commit_index,
                "a leader's entries contradict committed ones",
                previous=part.previous_index,
                commit=self.parts.core.commit_index,
            )

    def _append(self, now: float, leader: str, term: int, part: Fit, commit_index: int) -> None:
        message = {
            "type": "append_entries",
            "term": term,
            "commit_index": commit_index,
            "entries": part.entries,
            "prevLogIdx": part.previous_index,
            "prevLogTerm": part.previous_term,
        }
        if part.is_joined:
            self._matched = (term, leader, part.previous_index + len(part.entries))
        self.parts.core.receive(now, leader, message, self.free_peers())

    def _pass_on(self, now: float, leader: str, term: int, append: Append) -> None:
        """What the library does by itself: give every append to the core as it is."""
        entries = [
            (command, append.previous_index + place, entry_term)
            for place, (command, entry_term) in enumerate(
                zip(append.entries, append.entry_terms, strict=True), start=1
            )
        ]
        commit_index = append.commit_index
        if self.parts.guards.clamp_commit:
            commit_index = min(commit_index, append.previous_index + len(entries))
        message = {
            "type": "append_entries",
            "term": term,
            "commit_index": commit_index,
            "entries": entries,
            "prevLogIdx": append.previous_index,
            "prevLogTerm": append.previous_term,
        }
        self._matched = (term, leader, append.previous_index + len(entries))
        self.parts.core.receive(now, leader, message, self.free_peers())

    def hear(self, now: float, leader: str, term: int, *, commit_index: int, clamp: bool) -> None:
        """A sign of life of a leader; its commit index counts only as far as the logs are equal."""
        if clamp:
            commit_index = min(commit_index, self.matched_index(leader, term))
        self._hear(now, leader, term, commit_index=commit_index)

    def matched_index(self, leader: str, term: int) -> int:
        """The last index known to be equal to this leader's in this term; 0 if none."""
        matched_term, matched_leader, index = self._matched
        return index if (matched_term, matched_leader) == (term, leader) else 0

    def _hear(self, now: float, leader: str, term: int, *, commit_index: int) -> None:
        # Without a previous index the core takes only term, leader and commit index from it.
        message = {"type": "append_entries", "term": term, "commit_index": commit_index}
        self.parts.core.receive(now, leader, message, self.free_peers())

    def answer_of_core(self, leader: str, message: Message) -> None:
        """What the core answers to the append it was just given."""
        next_index = message["next_node_idx"]
        if message["success"]:
            self._accept(leader, next_index, moves=message["reset"])
            return
        log = self.parts.journal.log
        if self.parts.guards.one_append_in_flight and next_index <= log.last_index:
            # Skip a whole term of entries that contradict the leader's, not one entry a turn.
            # What is committed does not contradict it, and its journal may no longer hold it:
            # it would offer a snapshot that is here already, for ever.
            first = max(log.head.index, self.parts.core.commit_index) + 1
            next_index = max(log.first_of_term(next_index), first)
        self._answer(
            leader,
            AppendAnswer(id=self._answering, next_index=next_index, moves_next=message["reset"]),
        )

    def _accept(self, leader: str, next_index: int, *, moves: bool = True) -> None:
        answer = AppendAnswer(
            id=self._answering, accepted=True, next_index=next_index, moves_next=moves
        )
        self.parts.say(
            leader, RaftFrame(append_answer=answer), depends_on=self.parts.journal.position
        )

    def _answer(self, leader: str, answer: AppendAnswer) -> None:
        self.parts.say(leader, RaftFrame(append_answer=answer))
