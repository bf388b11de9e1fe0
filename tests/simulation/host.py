"""One simulated machine: a disk, a clock, and at most one living process with a member in it.

Which member, and what happens to the machine, is left to the world and the faults. What must stay
true: a stopped process sees nothing until it is woken, then everything in order; what a dead
process had asked for never happens.
"""

import enum
import random
import traceback
from collections.abc import Callable
from typing import Protocol

from molecule.model.errors import BrokenInvariant
from molecule.raft.configuration import Configuration
from tests.simulation.clock import EventQueue, MemberClock
from tests.simulation.disk import Disk, Killed
from tests.simulation.invariants import Checker, Entry
from tests.simulation.member import Member, MemberStopped, Port, View
from tests.simulation.network import Network
from tests.simulation.register import Outcome, Register

# A member that asks to be woken in the past would turn the simulation in place.
_WAKE_MIN_S = 0.0005


# Inputs that arrive so close together share a round, as in one turn of an event loop.
_GATHERING_S = 0.0002
_REMEMBERED = 8


class ProcessState(enum.Enum):
    """What the kernel knows of the process."""

    RUNNING = "running"
    STOPPED = "stopped"
    DOWN = "down"


class Events(Protocol):
    """What a host tells the world."""

    def settled(self, member: str, ticket: int, index: int | None, *, definite: bool) -> None: ...

    def read_from(self, member: str, ticket: int, index: int | None) -> None: ...

    def changed(self, host: "Host") -> None:
        """A round ended and the member's view may be another."""

    def applied(self, host: "Host", outcome: Outcome) -> None: ...

    def ended(self, host: "Host", reason: str, *, restart_s: float | None) -> None:
        """The process ended by itself; None leaves the restart to the operator's patience."""

    def note(self, *facts: object) -> None: ...


MemberFactory = Callable[[Port], Member]


class Host:
    """One machine. Changed by the world and the faults through its methods only."""

    def __init__(
        self,
        name: str,
        voters: tuple[str, ...],
        *,
        queue: EventQueue,
        network: Network,
        disk: Disk,
        clock: MemberClock,
        checker: Checker,
        events: Events,
        factory: MemberFactory,
        make_register: Callable[[], Register],
        rng: random.Random,
        forgives: bool = False,
    ) -> None:
        self.name = name
        self.voters = voters
        self.birth = f"{rng.randrange(1 << 60):x}"
        # A machine that takes part, or wants to; others lie about, switched off.
        self.is_enrolled = True
        # What was in force here, and since when; the last ones.
        self.configurations: list[tuple[float, Configuration]] = []
        self.disk = disk
        self.clock = clock
        self.rng = rng
        self.state = ProcessState.DOWN
        self.life = 0
        self.member: Member | None = None
        self.register = make_register()
        self.view: View | None = None
        self._queue = queue
        self._network = network
        self._checker = checker
        self._events = events
        self._factory = factory
        self._make_register = make_register
        self._forgives = forgives
        self._round_is_due = False
        self._backlog: list[Callable[[], None]] = []
        self._wake_local_s = 0.0
        self._wake_event_s = -1.0
        self.now_s = clock.now_s

    # The life of the process.

    def start(self) -> None:
        """Start a process on what the disk holds; it may refuse."""
        self.disk.revive()
        self.state = ProcessState.RUNNING
        self.life += 1
        self.register = self._make_register()
        self._backlog.clear()
        self._wake_event_s = -1.0
        self._round_is_due = False
        life = self.life
        self._guarded(self._boot)
        if self.state is ProcessState.RUNNING and self.life == life:
            self._network.start(self.name)

    def kill(self, *, silently: bool = False) -> None:
        """The process is gone; `silently` when the machine went with it."""
        self.state = ProcessState.DOWN
        self.member = None
        self.view = None
        self._backlog.clear()
        self._network.stop(self.name, silently=silently)

    def stop(self) -> None:
        """SIGSTOP."""
        if self.state is ProcessState.RUNNING:
            self.state = ProcessState.STOPPED

    def resume(self) -> None:
        """SIGCONT: everything that arrived meanwhile is there at once."""
        if self.state is not ProcessState.STOPPED:
            return
        self.state = ProcessState.RUNNING
        backlog, self._backlog = self._backlog, []
        # Whether the timer or the sockets are looked at first differs from loop to loop.
        if self.rng.random() < 0.5:
            self._guarded(self._wake)
        for action in backlog:
            if self.state is not ProcessState.RUNNING:
                return
            self._guarded(action)
        self._guarded(self._wake)

    # Inputs, from the world.

    def call(self, action: Callable[[Member], None]) -> None:
        """Give the member one input, now or when the process is awake again."""
        if self.state is ProcessState.RUNNING:
            self._guarded(lambda: self._input(action), ends_round=False)
            if not self._round_is_due:
                self._round_is_due = True
                self._queue.after(_GATHERING_S, self._round_due, self.life)
        elif self.state is ProcessState.STOPPED:
            life = self.life
            self._backlog.append(lambda: self._input(action) if self.life == life else None)

    def _round_due(self, life: int) -> None:
        if life == self.life and self.state is ProcessState.RUNNING:
            self._guarded(_nothing)

    def _input(self, action: Callable[[Member], None]) -> None:
        if self.member is not None:
            action(self.member)

    def _boot(self) -> None:
        self._checker.starting(self.name)
        self.member = self._factory(self)
        self.view = self.member.view()
        self._follow(self.view)
        self._checker.started(self.name, self.view)
        if self._checker.violation is not None:
            raise MemberStopped("it came up broken")

    def _wake(self) -> None:
        if self.member is not None:
            self.member.wake()

    def _guarded(self, action: Callable[[], None], *, ends_round: bool = True) -> None:
        """Let the member do something; its death in it is part of the game."""
        life = self.life
        try:
            action()
            if ends_round and self.member is not None and self.life == life:
                self._round_is_due = False
                self.member.settle()
        except Killed:
            self._end("killed in a disk operation", restart_s=0.0)
            return
        except MemberStopped as stopped:
            self._end(str(stopped), restart_s=None)
            return
        except BrokenInvariant as broken:
            self._broken(broken)
            return
        except Exception as error:  # noqa: BLE001 - whatever a member raises is a finding
            detail = "".join(traceback.format_exception(error)[-5:])
            self._checker.missed("a member does not fail by itself", f"{self.name}: {detail}")
            return
        if self.disk.is_dead:
            self._end("killed in a disk operation", restart_s=0.0)
        elif ends_round and self.member is not None and self.life == life:
            view = self.member.view()
            if view != self.view:
                self.view = view
                self._follow(view)
                self._checker.seen(self.name, view)
            self._events.changed(self)

    def _follow(self, view: View) -> None:
        now = view.configuration
        if now is not None and (not self.configurations or self.configurations[-1][1] is not now):
            self.configurations = [*self.configurations[-_REMEMBERED:], (self._queue.now_s, now)]

    def voters_since(self, since_s: float, otherwise: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The voters of each configuration that was in force here at an instant or later."""
        if self.member is not None:
            # A change counts from the moment it is in the log.
            self._follow(self.member.view())
        known = self.configurations
        in_force = [
            configuration.voter_ids
            for place, (_, configuration) in enumerate(known)
            if place + 1 == len(known) or known[place + 1][0] >= since_s
        ]
        return in_force or [otherwise]

    def empty_disk(self) -> None:
        """Everything that the machine knew is gone; it may come back only as a newcomer."""
        self.disk.restore({})
        self.birth = f"{self.rng.randrange(1 << 60):x}"
        self.voters = ()
        self._checker.damaged(self.name)

    def _broken(self, broken: BrokenInvariant) -> None:
        """The member noticed by itself; with a guard off it just stops, for others to notice."""
        if self._forgives:
            self._end(str(broken), restart_s=None)
        else:
            self._checker.missed("a member's own invariants hold", f"{self.name}: {broken}")

    def _end(self, reason: str, *, restart_s: float | None) -> None:
        self._events.ended(self, reason, restart_s=restart_s)

    # The port: what the member may do.

    def send(self, peer: str, connection: int, frame: object, size_bytes: int) -> None:
        self._network.send(self.name, peer, connection, frame, size_bytes)

    def wake_at(self, local_s: float) -> None:
        self._wake_local_s = local_s
        due_s = max(self.clock.true_s(local_s), self._queue.now_s + _WAKE_MIN_S)
        if self._wake_event_s < self._queue.now_s or due_s < self._wake_event_s:
            self._wake_event_s = due_s
            self._queue.at(due_s, self._wake_due, self.life, due_s)

    def _wake_due(self, life: int, event_s: float) -> None:
        if life != self.life or event_s != self._wake_event_s:
            return
        self._wake_event_s = -1.0
        if self.state is not ProcessState.RUNNING:
            return
        if self.clock.now_s() < self._wake_local_s - 1e-6:
            self.wake_at(self._wake_local_s)
            return
        self._guarded(self._wake)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._queue.after(delay_s, self._later_due, self.life, action)

    def _later_due(self, life: int, action: Callable[[], None]) -> None:
        if life == self.life:
            self.call(lambda _: action())

    def applied(self, index: int, term: int, data: bytes, *, in_term: int) -> None:
        outcome = self.register.apply(index, term, data)
        entry = Entry(term, data, self.register.chain, self.name, in_term)
        self._checker.applied(index, entry, outcome)
        self._events.applied(self, outcome)

    def loaded(self, index: int) -> None:
        self._checker.loaded(self.name, index, self.register.chain)

    def settled(self, ticket: int, index: int | None, *, definite: bool) -> None:
        self._events.settled(self.name, ticket, index, definite=definite)

    def read_from(self, ticket: int, index: int | None) -> None:
        self._events.read_from(self.name, ticket, index)

    def voted(self, term: int, candidate: str) -> None:
        self._checker.voted(self.name, term, candidate)

    def spoke(self, term: int) -> None:
        self._checker.spoke(self.name, term)

    def promised(self, term: int, index: int) -> None:
        self._checker.promised(self.name, index)
        self._events.note("promised", self.name, term, index)

    def cut(self, index: int, term: int, *, in_term: int) -> None:
        self._checker.cut(self.name, index, term, in_term=in_term)

    def restart(self) -> None:
        self._end("restarts on an installed snapshot", restart_s=0.05)


def _nothing() -> None:
    """No input; the round is what matters."""
