"""The seam between the simulated world and a consensus implementation under test.

Adapters (`library_member.py`, `replica_member.py`) implement `Member` and speak through `Port`;
the world implements `Port`. What must stay true: a member reaches time, network, disk and chance
through its port only.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from molecule.raft.changes import Change
from molecule.raft.configuration import Configuration
from tests.simulation.disk import Disk
from tests.simulation.register import Register


class Role(enum.Enum):
    """What a member believes itself to be."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class View:
    """What an observer may see of a member at one moment."""

    role: Role
    term: int
    leader: str | None
    log_first: int
    log_last: int
    # It lost a part of its log that may have mattered, and needs all others to vote with it.
    has_doubts: bool = False
    # As leader: how far each other voter's log is known to be equal.
    matched: tuple[tuple[str, int], ...] = ()
    # Who belongs to the cluster as far as it knows, and the newest that it knows committed.
    configuration: Configuration | None = None
    committed: Configuration | None = None
    # As leader: learners that may become voters.
    ready: tuple[str, ...] = ()


class MemberStopped(Exception):
    """The member refuses to go on and says why; its process ends."""


class Port(Protocol):
    """What the world offers to one life of a member."""

    @property
    def name(self) -> str: ...

    @property
    def voters(self) -> tuple[str, ...]:
        """Those that form the cluster; this one is not among them when it joins one."""

    @property
    def birth(self) -> str:
        """The name that an empty data folder gets."""

    @property
    def disk(self) -> Disk: ...

    @property
    def rng(self) -> random.Random: ...

    @property
    def register(self) -> Register: ...

    def now_s(self) -> float:
        """The member's own monotonic clock."""

    def send(self, peer: str, connection: int, frame: object, size_bytes: int) -> None: ...

    def wake_at(self, local_s: float) -> None:
        """Call `wake` at this instant of the member's clock, in place of what was asked before."""

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run something of this life after a true delay (a disk, a thread)."""

    def applied(self, index: int, term: int, data: bytes, *, in_term: int) -> None:
        """A committed entry reached the state machine, while the member was in a term."""

    def loaded(self, index: int) -> None:
        """The register now holds the state of a snapshot."""

    def settled(self, ticket: int, index: int | None, *, definite: bool) -> None:
        """A proposal ended: committed at an index, or failed with or without certainty."""

    def read_from(self, ticket: int, index: int | None) -> None:
        """A barrier ended: the state at `index` is fresh enough, or nothing is known."""

    def spoke(self, term: int) -> None:
        """Something of this term left the process."""

    def voted(self, term: int, candidate: str) -> None:
        """A vote left the process."""

    def promised(self, term: int, index: int) -> None:
        """An acknowledgement of the log up to `index` left the process."""

    def cut(self, index: int, term: int, *, in_term: int) -> None:
        """An entry was taken off the end of the log, while the member was in a term."""

    def restart(self) -> None:
        """End this life; the supervisor starts the next at once (after an installed snapshot)."""


class Member(Protocol):
    """One life of a consensus implementation."""

    def link_up(self, peer: str, connection: int) -> None: ...

    def link_down(self, peer: str, connection: int) -> None: ...

    def receive(self, peer: str, connection: int, frame: object) -> None: ...

    def wake(self) -> None: ...

    def settle(self) -> None:
        """All inputs of this instant are in: do what follows from them."""

    def propose(self, data: bytes, ticket: int) -> None:
        """Offer an entry; the answer comes through `Port.settled`."""

    def barrier(self, ticket: int) -> None:
        """Ask for a fresh read; the answer comes through `Port.read_from`."""

    def change(self, change: Change, ticket: int) -> None:
        """Offer a change of the members; the answer comes through `Port.settled`."""

    def transfer(self, to: str) -> None:
        """As leader: let another one lead."""

    def snapshot(self) -> None:
        """Save the state and cut the journal below it, when that is possible now."""

    def view(self) -> View: ...

    def log_term(self, index: int) -> int | None:
        """Term of the entry at an index of the log in memory, None when it is not there."""
