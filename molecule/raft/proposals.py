"""Proposals of this leader until their end is known.

Nothing here waits: what is neither committed nor overwritten when leadership is lost is told as
unknown, because the entries stay in the log and a later leader may commit them.
"""

from collections import deque
from dataclasses import dataclass, field

from molecule.raft.log import Log
from molecule.raft.outbox import Settled


@dataclass(frozen=True, slots=True)
class _Proposal:
    index: int
    term: int
    ticket: int


@dataclass(slots=True)
class Proposals:
    """In order of index."""

    _open: deque[_Proposal] = field(default_factory=deque)

    def add(self, index: int, term: int, ticket: int) -> None:
        """A command was put into the log."""
        self._open.append(_Proposal(index, term, ticket))

    def settle(self, log: Log, durable_commit_index: int) -> list[Settled]:
        """Proposals whose index is committed and durable here: committed or overwritten."""
        settled: list[Settled] = []
        while self._open and self._open[0].index <= durable_commit_index:
            proposal = self._open.popleft()
            if log.term_at(proposal.index) == proposal.term:
                settled.append(Settled(proposal.ticket, proposal.index))
            else:
                settled.append(Settled(proposal.ticket, None, "definite"))
        return settled

    def lose(self) -> list[Settled]:
        """Leadership is lost: the rest may or may not be committed by others."""
        lost = [Settled(proposal.ticket, None, "indefinite") for proposal in self._open]
        self._open.clear()
        return lost
