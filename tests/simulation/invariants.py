"""What must hold in every run, whatever the members, the network and the disks do.

The checker sees everything and takes part in nothing: it is told each thing that leaves a member
and compares it with all that was ever told. Faults and traffic are left to others. What must stay
true: a violation is recorded once, the first one, with what is needed to understand it; a checker
never mends or forgets.
"""

from dataclasses import dataclass

from tests.simulation.member import Role, View
from tests.simulation.register import Outcome, show

# More than any run writes: a log that claims more was read from garbage.
_ENTRIES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: its name, when, and what was seen."""

    invariant: str
    at_s: float
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at_s:.3f} s: {self.detail}"


@dataclass(slots=True)
class _Life:
    """What the checker remembers of one member; only the checker changes it."""

    term: int = 0
    spoken_term: int = 0
    applied: int = 0
    promised: int = 0
    view: View | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed entry as a member applied it, and the state that it led to."""

    term: int
    data: bytes
    chain: bytes
    member: str
    in_term: int
    """The member's own term then; the first one to apply is as a rule the leader that committed."""


class Checker:
    """Invariants over one run; the world calls one method per observation."""

    def __init__(self, members: tuple[str, ...]) -> None:
        self._lives = {member: _Life() for member in members}
        self._majority = len(members) // 2 + 1
        self._committed: dict[int, Entry] = {}
        self._votes: dict[tuple[str, int], str] = {}
        self._leaders: dict[int, str] = {}
        self._epoch = 0
        self._epoch_leaders: dict[int, str] = {}
        self._jobs: dict[int, int] = {}
        self._acknowledged: dict[int, bytes] = {}
        self.acknowledged_last = 0
        self.committed_last = 0
        self.violation: Violation | None = None
        self.now_s = 0.0

    # Elections.

    def voted(self, member: str, term: int, candidate: str) -> None:
        """One vote per member and term, over all its lives."""
        first = self._votes.setdefault((member, term), candidate)
        if first != candidate:
            self._broken(
                "one vote per member and term",
                f"{member} voted for {first} and for {candidate} in term {term}",
            )

    def seen(self, member: str, view: View) -> None:
        """A member as it stands after a round."""
        life = self._lives[member]
        life.view = view
        if view.term < life.term:
            self._broken("terms never go back", f"{member} fell from {life.term} to {view.term}")
        life.term = view.term
        if view.role is Role.LEADER:
            first = self._leaders.setdefault(view.term, member)
            if first != member:
                self._broken(
                    "one leader per term", f"{first} and {member} both lead term {view.term}"
                )
        if view.log_last < life.applied:
            self._broken(
                "a committed entry is never lost",
                f"{member} applied up to {life.applied} and its log now ends at {view.log_last}",
            )

    def spoke(self, member: str, term: int) -> None:
        """A member said something in a term; a term it only thought of may be forgotten."""
        life = self._lives[member]
        life.spoken_term = max(life.spoken_term, term)

    def damaged(self, member: str) -> None:
        """Its disk lost what it should have kept: what it said before binds it no more."""
        life = self._lives[member]
        life.promised = life.spoken_term = 0
        for vote in [vote for vote in self._votes if vote[0] == member]:
            del self._votes[vote]

    def starting(self, member: str) -> None:
        """A new life begins; its state machine is empty until a snapshot or the log fills it."""
        life = self._lives[member]
        life.view = None
        life.applied = 0
        life.term = life.spoken_term

    def started(self, member: str, view: View) -> None:
        """A new life came up with what the disk gave back."""
        life = self._lives[member]
        if view.log_last - view.log_first > _ENTRIES_MAX:
            self._broken(
                "damage is never taken for data",
                f"{member} came back with {view.log_first} to {view.log_last}",
            )
        if view.log_last < life.promised:
            self._broken(
                "durable is never less than acknowledged",
                f"{member} acknowledged its log up to {life.promised} and came back "
                f"with {view.log_first} to {view.log_last}",
            )

    # The log.

    def promised(self, member: str, index: int) -> None:
        """The member told a leader that it holds the log up to here."""
        life = self._lives[member]
        life.promised = max(life.promised, index)

    def cut(self, member: str, index: int, term: int, *, in_term: int) -> None:
        """An entry left the end of a member's log.

        Never one that was committed in the member's term or before. A later leader may have
        committed it with others, while this member still hears the leader of an earlier term.
        """
        life = self._lives[member]
        life.promised = min(life.promised, index - 1)
        entry = self._committed.get(index)
        if entry is not None and entry.term == term and in_term >= entry.in_term:
            self._broken(
                "a committed entry is never lost",
                f"{member} cut entry {index} of term {term} in term {in_term}, which"
                f" {entry.member} had applied in term {entry.in_term}",
            )

    def applied(self, index: int, entry: Entry, outcome: Outcome) -> None:
        """A member applied an entry; each member does so in one order with one result."""
        member, data = entry.member, entry.data
        life = self._lives[member]
        if index <= life.applied:
            self._broken(
                "entries are applied once and in order",
                f"{member} applied {index} after {life.applied}",
            )
        for skipped in range(life.applied + 1, index):
            if skipped in self._committed or skipped in self._acknowledged:
                self._broken(
                    "entries are applied once and in order",
                    f"{member} went from {life.applied} to {index} past committed {skipped}",
                )
        life.applied = index
        known = self._committed.get(index)
        if known is None:
            self._committed[index] = entry
            self.committed_last = max(self.committed_last, index)
            self._first_applied(index, outcome)
            acknowledged = self._acknowledged.get(index)
            if acknowledged is not None and acknowledged != data:
                self._lost_acknowledged(index, acknowledged, data)
        elif (known.term, known.data) != (entry.term, data):
            self._broken(
                "a committed entry is never changed",
                f"{index} is {show(known.data)} of term {known.term} on {known.member} "
                f"and {show(data)} of term {entry.term} on {member}",
            )
        elif known.chain != entry.chain:
            self._broken(
                "applied prefixes are equal",
                f"{member} and {known.member} differ after {index}",
            )

    def loaded(self, member: str, index: int, chain: bytes) -> None:
        """A member took its state from a snapshot of an index."""
        known = self._committed.get(index)
        if known is not None and known.chain != chain:
            self._broken("applied prefixes are equal", f"{member} loaded another state for {index}")
        self._lives[member].applied = index

    def counted(
        self, leader: str, follower: str, index: int, *, own: int | None, theirs: int | None
    ) -> None:
        """A leader counts an entry as held by a follower of its term; the terms found at both."""
        if own is not None and own != theirs:
            self._broken(
                "durable is never less than acknowledged",
                f"{leader} counts {index} of term {own} as held by {follower}, which has {theirs}",
            )

    # Answers to clients.

    def acknowledged(self, member: str, index: int, data: bytes) -> None:
        """A client was told that its entry is committed at an index."""
        first = self._acknowledged.setdefault(index, data)
        known = self._committed.get(index)
        if first != data:
            self._lost_acknowledged(index, first, data)
        elif known is not None and known.data != data:
            self._lost_acknowledged(index, data, known.data)
        self.acknowledged_last = max(self.acknowledged_last, index)

    def read(self, member: str, index: int, floor: int) -> None:
        """A read begun when `floor` was known to be committed was served from `index`."""
        if index < floor:
            self._broken(
                "a fresh read sees what was acknowledged before it",
                f"{member} served it from {index} although {floor} was acknowledged",
            )

    def spoke_while_cut_off(self, member: str, what: str, since_s: float) -> None:
        """A member that met no majority since `since_s` answered something that began then."""
        self._broken(
            "a leader cut off acknowledges nothing",
            f"{member}, without a majority since {since_s:.3f} s, {what}",
        )

    # The end of a run.

    def converged(self, states: dict[str, tuple[int, bytes]]) -> None:
        """Every member's last applied index and state, when all should be equal."""
        for index in self._acknowledged:
            if index not in self._committed:
                self._broken(
                    "what was acknowledged is committed for ever", f"{index} is nowhere any more"
                )
        for member in sorted(states):
            index, chain = states[member]
            if index < self.acknowledged_last:
                self._broken(
                    "a committed entry is never lost",
                    f"{member} ends at {index} and {self.acknowledged_last} was acknowledged",
                )
            known = self._committed.get(index)
            if known is not None and known.chain != chain:
                self._broken("applied prefixes are equal", f"{member} ends with another state")

    def missed(self, invariant: str, detail: str) -> None:
        """Something that had to happen by now did not."""
        self._broken(invariant, detail)

    def _first_applied(self, index: int, outcome: Outcome) -> None:
        if outcome.job is not None:
            self._job_given(index, outcome)
        elif outcome.epoch is not None and outcome.leader is not None:
            if outcome.epoch != self._epoch + 1:
                self._broken(
                    "epochs never go back", f"{index} minted {outcome.epoch} after {self._epoch}"
                )
            self._epoch = outcome.epoch
            self._epoch_leaders[outcome.epoch] = outcome.leader

    def _job_given(self, index: int, outcome: Outcome) -> None:
        holder = self._epoch_leaders.get(outcome.epoch or 0)
        if outcome.leader != holder:
            self._broken(
                "one leader per epoch",
                f"{outcome.leader} acted at {index} in epoch {outcome.epoch} of {holder}",
            )
        job = outcome.job or 0
        if job in self._jobs:
            self._broken(
                "one leader per epoch", f"job {job} was given at {self._jobs[job]} and at {index}"
            )
        self._jobs[job] = index

    def _lost_acknowledged(self, index: int, acknowledged: bytes, now: bytes) -> None:
        self._broken(
            "what was acknowledged is committed for ever",
            f"{index} was acknowledged as {show(acknowledged)} and is {show(now)}",
        )

    def _broken(self, invariant: str, detail: str) -> None:
        if self.violation is None:
            self.violation = Violation(invariant, self.now_s, detail)
