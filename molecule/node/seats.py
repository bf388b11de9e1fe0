"""The workers of a node as its agent sees them, and which of them are to be started or ended.

What runs in them is decided in `agent_rounds.py`. Pure. What stays true: shared workers and workers
of one execution are counted apart, each kind within its bound; the latter end with their execution.
No more of them start at the same time than there are processors.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from molecule.config import Limits

_SILENT_LEASES = 2
"""After so many leases without a sign of life a worker is killed."""
_START_BACKOFF_US = 200_000
_START_BACKOFF_MAX_US = 5_000_000

Assignment = tuple[str, int]
"""An execution and its token."""


@dataclass(slots=True)
class Seat:
    """One worker, from the request to start it until its death."""

    worker: str
    alone_for: Assignment | None = None
    """The only one it runs; None: it is shared."""
    ready: bool = False
    heard_at_us: int = 0
    """Last sign of life; until it is ready, when its start was asked for."""
    end_asked_at_us: int = 0
    cause: str = ""
    """Why the agent had it killed: `memory`, `silent`; empty: it did not."""
    is_leaving: bool = False
    """Its execution is over, or was taken away: nothing more is given to it."""
    memory_bytes: int = 0
    """The most that was seen of it."""
    leaving_at_us: int = 0
    executions: dict[str, int] = field(default_factory=dict)
    """What it was given and when: instants of the agent's clock."""
    seen: set[Assignment] = field(default_factory=set)
    """What it said it runs."""

    def leave(self, *, now_us: int) -> None:
        """Its execution is over."""
        self.is_leaving = True
        self.leaving_at_us = now_us

    @property
    def is_shared(self) -> bool:
        """True when it takes any execution."""
        return self.alone_for is None


class Seats:
    """Owned by `AgentRounds`; nobody else calls it."""

    def __init__(
        self, *, shared_max: int, starting_max: int, lease_us: int, limits: Limits
    ) -> None:
        self._shared_max = shared_max
        self._starting_max = starting_max
        self._limits = limits
        self._allowed_us = lease_us * _SILENT_LEASES
        self._start_us = limits.worker_start_ms_max * 1000
        self._started = 0
        self._deaths_in_a_row = 0
        self._start_not_before_us = 0
        self._by_name: dict[str, Seat] = {}

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._by_name.values())

    def get(self, worker: str | None) -> Seat | None:
        """The seat of a worker that was asked for and has not died."""
        return self._by_name.get(worker) if worker is not None else None

    def ready(self, worker: str, *, now_us: int) -> Seat:
        """It opened its stream."""
        seat = self._by_name.setdefault(worker, Seat(worker))
        seat.ready = True
        seat.heard_at_us = now_us
        return seat

    def heard(self, worker: str, *, now_us: int) -> Seat | None:
        """It gave a sign of life."""
        seat = self._by_name.get(worker)
        if seat is not None:
            seat.heard_at_us = now_us
            self._deaths_in_a_row = 0
        return seat

    def died(self, worker: str, *, now_us: int) -> Seat:
        """It was reaped; one that was not asked to leave makes the next start wait for a while."""
        seat = self._by_name.pop(worker, None) or Seat(worker)
        if seat.is_leaving:
            return seat
        self._deaths_in_a_row += 1
        delay = min(_START_BACKOFF_US * 2 ** min(self._deaths_in_a_row, 8), _START_BACKOFF_MAX_US)
        self._start_not_before_us = now_us + (0 if self._deaths_in_a_row == 1 else delay)
        return seat

    def choose(self, assignment: Assignment, *, alone: bool) -> Seat | None:
        """A ready worker for it: its own, or the least busy of the shared ones."""
        if alone:
            return next(
                (seat for seat in self if seat.ready and seat.alone_for == assignment), None
            )
        shared = [seat for seat in self if seat.ready and seat.is_shared and not seat.cause]
        return min(shared, key=_busyness, default=None)

    def to_start(
        self, waiting_alone: Collection[Assignment], *, is_needed: bool, now_us: int
    ) -> list[str]:
        """Workers to be started now: a shared one if needed, one for each that waits alone."""
        if now_us < self._start_not_before_us:
            return []
        started: list[str] = []
        # A start takes a processor for a while: more at once would only make each of them late.
        starting = sum(not (seat.ready or seat.is_leaving) for seat in self)
        room = self._starting_max - starting
        if room > 0 and is_needed and sum(seat.is_shared for seat in self) < self._shared_max:
            started.append(self._add(None, now_us=now_us))
        own = {seat.alone_for for seat in self if not seat.is_shared}
        room = min(room - len(started), self._limits.own_workers_max - len(own))
        for assignment in waiting_alone:
            if room <= 0:
                break
            if assignment not in own:
                started.append(self._add(assignment, now_us=now_us))
                room -= 1
        return started

    def _add(self, alone_for: Assignment | None, *, now_us: int) -> str:
        self._started += 1
        worker = f"w{self._started}"
        self._by_name[worker] = Seat(worker, alone_for, heard_at_us=now_us)
        return worker

    def gone(
        self, seat: Seat, runs: set[Assignment], tokens: Mapping[str, int], *, now_us: int
    ) -> list[str]:
        """What it was given and does not run any more, now that it named all it runs.

        One that it never named may still be on its way to it, behind its packages, for a while.
        """
        given = list(seat.executions.items())
        gone = [
            execution
            for execution, given_us in given
            if (name := (execution, tokens[execution])) not in runs
            and (name in seat.seen or now_us - given_us > self._start_us)
        ]
        seat.seen &= runs
        for execution in gone:
            del seat.executions[execution]
        return gone

    def measure(self, worker: str, memory_bytes: int, *, now_us: int) -> bool:
        """Note its memory; True when it has just gone over its limit and must be killed, alone."""
        seat = self._by_name.get(worker)
        if seat is None:
            return False
        seat.memory_bytes = max(seat.memory_bytes, memory_bytes)
        if seat.cause or memory_bytes <= self.memory_max(seat):
            return False
        seat.cause = "memory"
        seat.end_asked_at_us = now_us
        return True

    def memory_max(self, seat: Seat) -> int:
        """How many bytes of memory it may have."""
        limits = self._limits
        if seat.is_shared:
            return limits.worker_memory_bytes_max
        return limits.own_worker_memory_bytes_max

    def silent(self, *, now_us: int) -> Iterator[Seat]:
        """Stopped or stuck: it renews nothing, so its work would wait for it without end."""
        for seat in self:
            allowed_us = self._allowed_us if seat.ready else self._start_us
            stays = seat.is_leaving and now_us - seat.leaving_at_us > allowed_us
            if stays or now_us - seat.heard_at_us > allowed_us:
                seat.cause = seat.cause or "silent"
                seat.end_asked_at_us = seat.end_asked_at_us or now_us
                yield seat

    def outlives_its_end(self, seat: Seat, *, now_us: int) -> bool:
        """True when the supervisor was asked to end it long ago and does not."""
        return now_us - seat.end_asked_at_us > self._allowed_us


def _busyness(seat: Seat) -> tuple[int, str]:
    return len(seat.executions), seat.worker
