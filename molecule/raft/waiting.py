"""Callers who wait: for their proposal, for a fresh index, for an index to be applied.

Used by the driver only, on its loop. A caller who went away is skipped; none is left waiting when
the driver stops.
"""

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from molecule.model.errors import MoleculeError, NoLeader, OutcomeUnknown
from molecule.raft.outbox import BarrierAnswer, Settled


@dataclass(slots=True)
class _Proposal:
    future: "asyncio.Future[object]"
    proposed_at: float


@dataclass(slots=True)
class Waiting:
    """All callers of one driver."""

    _tickets: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _proposals: dict[int, _Proposal] = field(default_factory=dict)
    _results: dict[int, _Proposal] = field(default_factory=dict)
    _barriers: "dict[int, asyncio.Future[int]]" = field(default_factory=dict)
    _indexes: "list[tuple[int, int, asyncio.Future[int]]]" = field(default_factory=list)

    @property
    def count(self) -> int:
        """Proposals without a result."""
        return len(self._proposals) + len(self._results)

    def next_ticket(self) -> int:
        """Never used before."""
        return next(self._tickets)

    def proposal(self, ticket: int, future: "asyncio.Future[object]", now: float) -> None:
        """Wait for the result of a proposal."""
        self._proposals[ticket] = _Proposal(future, now)

    def barrier(self, ticket: int, future: "asyncio.Future[int]") -> None:
        """Wait for a majority round."""
        self._barriers[ticket] = future

    def settled(self, settled: Settled, now: float) -> float | None:
        """A proposal ended; seconds until commit, or None if it failed."""
        proposal = self._proposals.pop(settled.ticket, None)
        if proposal is None:
            return None
        if settled.index is not None:
            self._results[settled.index] = proposal
            return now - proposal.proposed_at
        error: MoleculeError = NoLeader("another leader's entry took the place of this one")
        if settled.failure == "indefinite":
            error = OutcomeUnknown("leadership was lost while this was being committed")
        _fail(proposal.future, error)
        return None

    def applied(self, index: int, result: object) -> None:
        """The entry at this index was applied with this result."""
        proposal = self._results.pop(index, None)
        if proposal is not None and not proposal.future.done():
            proposal.future.set_result(result)

    def reached(self, applied_index: int) -> None:
        """Everything up to this index is applied."""
        while self._indexes and self._indexes[0][0] <= applied_index:
            index, _, future = heapq.heappop(self._indexes)
            if not future.done():
                future.set_result(index)

    def answered(self, answer: BarrierAnswer, applied_index: int) -> None:
        """A majority round ended; its caller goes on once the index is applied."""
        future = self._barriers.pop(answer.ticket, None)
        if future is None or future.done():
            return
        if answer.index is None:
            _fail(future, NoLeader("this node does not lead any more"))
        elif answer.index <= applied_index:
            future.set_result(answer.index)
        else:
            self.until_applied(answer.index, future)

    def until_applied(self, index: int, future: "asyncio.Future[int]") -> None:
        """Wait until this index is applied."""
        heapq.heappush(self._indexes, (index, self.next_ticket(), future))

    def abandon(self) -> None:
        """The driver stopped: nobody will be answered any more."""
        for proposal in (*self._proposals.values(), *self._results.values()):
            _fail(proposal.future, OutcomeUnknown("this node stopped before the outcome was known"))
        stopped = NoLeader("this node stopped")
        for future in (*self._barriers.values(), *(waiting[2] for waiting in self._indexes)):
            _fail(future, stopped)
        self._proposals.clear()
        self._results.clear()
        self._barriers.clear()
        self._indexes.clear()


def _fail(future: "asyncio.Future[object] | asyncio.Future[int]", error: MoleculeError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # a caller who went away is no unhandled error
