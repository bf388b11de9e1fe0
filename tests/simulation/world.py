"""One simulated run: machines, network, traffic and faults from one seed, first unsafe, then calm.

The parts do their own work; the world wires them, keeps the phases and hands every observation to
the checker. What must stay true: a run is a function of its seed, its options and its fault list,
down to the last event.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.calm import CalmPhases
from tests.simulation.clients import Tally, Traffic
from tests.simulation.clock import EventQueue, MemberClock
from tests.simulation.disk import Disk, Survival
from tests.simulation.faults import Fault, plan
from tests.simulation.host import Host, MemberFactory, ProcessState
from tests.simulation.invariants import Checker, Violation
from tests.simulation.member import Member, Role, View
from tests.simulation.network import Network
from tests.simulation.operator import Operator
from tests.simulation.options import Options
from tests.simulation.register import Outcome, Register
from tests.simulation.strikes import strike

_OPERATOR_S = 0.7
_TRACE_LINES = 400


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one run."""

    seed: int
    options: Options
    plan: tuple[Fault, ...]
    struck: int
    violation: Violation | None
    trace_hash: int
    trace: tuple[str, ...]
    tally: Tally
    leader_after_s: tuple[float, ...]
    virtual_s: float
    rounds: int
    leader_changes: int
    member_changes: int = 0


@dataclass(slots=True)
class _Undo:
    """The end of a fault, carried out once."""

    action: Callable[..., None]
    args: tuple[object, ...]
    is_done: bool = False


class World:
    """One run. Built, run once, thrown away."""

    draining_max_s = 30.0

    def __init__(
        self,
        seed: int,
        options: Options,
        factory: MemberFactory,
        *,
        election_s: float,
        faults: tuple[Fault, ...] | None = None,
    ) -> None:
        self.seed = seed
        self.options = options
        self.queue = EventQueue()
        self.survivals = options.survivals
        self.is_calm = False
        names = tuple(f"n{number + 1}" for number in range(options.voters + options.spares))
        founders = names[: options.voters]
        self.checker = Checker(names)
        self.network = Network(self.queue, self._rng("network"), names, options.network, self)
        self.hosts = {name: self._make_host(name, founders, factory) for name in names}
        for name in names[options.voters :]:
            self.hosts[name].is_enrolled = False
        self.operator = Operator(self, self._rng("operator"), founders)
        self.traffic = self._make_traffic()
        self.plan = (
            plan(self._rng("faults"), options.kinds, options.faults, options.fault_every_s)
            if faults is None
            else faults
        )
        self._calm = CalmPhases(self, election_s, self._rng("calm"))
        self._chance = self._rng("world")
        self._undos: list[_Undo] = []
        # By member and way: since when nothing could pass between it and that awake peer.
        self._closed_since: dict[tuple[str, tuple[str, str]], float] = {}
        self._damages: dict[str, dict[str, bytes] | None] = {}
        self._starts: dict[str, int] = {}
        self._struck = 0
        self._rounds = 0
        self._leaders: list[tuple[int, str]] = []
        self._matched: dict[str, tuple[tuple[str, int], ...]] = {}
        self._hash = 0
        self._trace: list[str] = []

    @property
    def now_s(self) -> float:
        return self.queue.now_s

    def run(self) -> Report:
        """All phases, up to the first violation."""
        for host in self.hosts.values():
            if host.is_enrolled:
                host.start()
        self.reach_changed()
        self.traffic.start()
        if self.options.changes_every_s:
            options = self.options
            self.operator.start(options.changes_every_s, waits=options.changes_wait)
        if self.options.snapshot_every_s:
            self._snapshot_later()
        for fault in self.plan:
            self.queue.at(fault.at_s, self._strike, fault)
        survived = self.advance((self.plan[-1].at_s if self.plan else 1.0) + 1.0)
        if survived and self.options.checks_calm:
            self._calm.run()
        return self._report()

    def advance(self, until_s: float) -> bool:
        """Let events happen up to an instant; no as soon as an invariant is broken."""
        queue, checker = self.queue, self.checker
        while checker.violation is None:
            if not queue.run_next(until_s):
                return True
            checker.now_s = queue.now_s
        return False

    def heal_all(self) -> None:
        """End every fault that still lasts."""
        self.is_calm = True
        undos, self._undos = self._undos, []
        for undo in undos:
            self._undo(undo)
        for host in self.hosts.values():
            host.disk.dies_after = None
            if host.state is ProcessState.DOWN and host.is_enrolled:
                host.start()
        self.reach_changed()

    @property
    def members(self) -> list[str]:
        """Those that count, once changes of the members are over."""
        if not self.options.changes_every_s:
            return list(self.hosts)
        return list(self.operator.committed.voter_ids)

    # What faults may do (`strikes.Scene`).

    def undo_after(self, seconds: float, undo: Callable[..., None], *args: object) -> None:
        pending = _Undo(undo, args)
        self._undos.append(pending)
        self.queue.after(seconds, self._undo, pending)

    def crash(self, host: Host, *, power: Survival | None, restart_s: float) -> None:
        host.kill(silently=power is not None)
        if power is not None:
            host.disk.lose_power(power)
        # A process that ends again before it was to be started is waited for anew.
        self._starts[host.name] = turn = self._starts.get(host.name, 0) + 1
        self.undo_after(restart_s, self._start_of, host, turn)
        self.reach_changed()

    def _start_of(self, host: Host, turn: int) -> None:
        is_down = host.state is ProcessState.DOWN and host.is_enrolled
        if is_down and self._starts[host.name] == turn:
            host.start()
            self.reach_changed()

    def burst(self, host: Host, count: int) -> None:
        self.traffic.burst(host, count)

    def damage(self, host: Host, path: str, offset: int) -> None:
        if self._damages.get(host.name) is None:
            # Damaged again before anybody looked: the copy is still from before.
            self._damages[host.name] = host.disk.image()
        host.disk.flip(path, offset)
        self.checker.damaged(host.name)

    def is_damaged(self, host: Host) -> bool:
        return host.name in self._damages

    def sync_normal(self, host: Host) -> None:
        profile = self.options.disk_profile()
        host.disk.profile.sync_min_s = profile.sync_min_s
        host.disk.profile.sync_max_s = profile.sync_max_s

    def reach_changed(self) -> None:
        for member in self.hosts:
            for peer in self.hosts:
                for way in ((member, peer), (peer, member)):
                    self._closed_since.setdefault((member, way), self.queue.now_s)
                    if member != peer and self._is_open(way, peer):
                        del self._closed_since[member, way]

    def has_met_majority(self, member: str, since_s: float) -> bool:
        return any(
            self._has_met(member, since_s, voters)
            for voters in self.hosts[member].voters_since(since_s, tuple(self.hosts))
        )

    def _has_met(self, member: str, since_s: float, voters: tuple[str, ...]) -> bool:
        met = 0
        for peer in voters:
            # A question and its answer may pass at different times.
            closed_s = [
                self._closed_since.get((member, way), since_s)
                for way in ((member, peer), (peer, member))
            ]
            met += peer == member or min(closed_s) >= since_s
        return met > len(voters) // 2

    # What the network tells (`network.Listener`).

    def link_up(self, member: str, peer: str, connection: int) -> None:
        self.note("link_up", member, peer)
        self.hosts[member].call(lambda inside: inside.link_up(peer, connection))

    def link_down(self, member: str, peer: str, connection: int) -> None:
        self.note("link_down", member, peer)
        self.hosts[member].call(lambda inside: inside.link_down(peer, connection))

    def frame(self, member: str, peer: str, connection: int, frame: object) -> None:
        self._hash = zlib.crc32(b"%a%a%d" % (member, peer, connection), self._hash)
        self.hosts[member].call(lambda inside: inside.receive(peer, connection, frame))

    def is_alive(self, member: str) -> bool:
        return self.hosts[member].state is not ProcessState.DOWN

    def is_answering(self, member: str) -> bool:
        return self.hosts[member].state is ProcessState.RUNNING

    # What hosts tell (`host.Events`).

    def settled(self, member: str, ticket: int, index: int | None, *, definite: bool) -> None:
        self.note("settled", member, ticket, index, definite)
        self.operator.settled(ticket)
        self.traffic.settled(member, ticket, index, definite=definite)

    def read_from(self, member: str, ticket: int, index: int | None) -> None:
        self.note("read", member, ticket, index)
        self.traffic.read_from(member, ticket, index)

    def changed(self, host: Host) -> None:
        self._rounds += 1
        self.operator.saw(host)
        view = host.view
        if host.name in self._damages and view is not None:
            # It came up without some of its tail, and is sound again once others gave it back.
            self._damages[host.name] = None
            if not view.has_doubts:
                del self._damages[host.name]
        if view is None or view.role is not Role.LEADER:
            return
        if view.matched != self._matched.get(host.name):
            self._matched[host.name] = view.matched
            self._check_matched(host, view)
        if not self._leaders or (view.term, host.name) > self._leaders[-1]:
            self._leaders.append((view.term, host.name))
            self.note("leads", host.name, view.term)

    def applied(self, host: Host, outcome: Outcome) -> None:
        self.note("applied", host.name, host.register.applied, outcome.epoch, outcome.job)

    def ended(self, host: Host, reason: str, *, restart_s: float | None) -> None:
        self.note("ended", host.name, reason)
        if self.operator.is_out(host):
            host.kill()
            self.reach_changed()
            return
        power = None
        before = self._damages.get(host.name)
        if before is not None and restart_s is None:
            # It refused, as it may: the operator has a copy from before the damage.
            host.disk.restore(before)
            # The copy itself may lack what an earlier damage took, and nobody gave back yet.
            self._damages[host.name] = None
        if restart_s is None:
            # Nobody knows what a disk that failed holds: the operator restarts the machine.
            power = self._chance.choice(self.survivals)
            restart_s = _OPERATOR_S
        self.crash(host, power=power, restart_s=restart_s + 0.01)

    def note(self, *facts: object) -> None:
        line = f"{self.queue.now_s:.6f} {facts}"
        self._hash = zlib.crc32(line.encode(), self._hash)
        self._trace.append(line)
        if len(self._trace) > 2 * _TRACE_LINES:
            del self._trace[:_TRACE_LINES]

    # Inside.

    def _check_matched(self, host: Host, view: View) -> None:
        """What a leader counts on must be so at every follower of its term."""
        for peer, index in view.matched:
            theirs, member = self.hosts[peer], host.member
            # A disk that was damaged lost what it had said; the leader hears of that later.
            if theirs.view is None or theirs.member is None or peer in self._damages or not member:
                continue
            if index and theirs.view.term == view.term and index > theirs.view.log_first:
                terms = member.log_term(index), theirs.member.log_term(index)
                self.checker.counted(host.name, peer, index, own=terms[0], theirs=terms[1])

    def _strike(self, fault: Fault) -> None:
        self.note("fault", fault)
        self._struck += strike(self, fault)

    def _undo(self, undo: _Undo) -> None:
        if not undo.is_done:
            undo.is_done = True
            undo.action(*undo.args)

    def _is_open(self, way: tuple[str, str], peer: str) -> bool:
        """Can a word pass this way to a peer, or from it.

        A stopped one hears what came later; what one said before it stopped or died may arrive.
        """
        if self.network.is_blocked(*way):
            return False
        state = self.hosts[peer].state
        if way[1] == peer:
            return state in (ProcessState.RUNNING, ProcessState.STOPPED)
        return state is ProcessState.RUNNING or self.network.is_carrying(*way)

    def _snapshot_later(self) -> None:
        self.queue.after(
            self.options.snapshot_every_s * (0.5 + self._chance.random()), self._snapshot
        )

    def _snapshot(self) -> None:
        host = self._chance.choice(list(self.hosts.values()))
        host.call(_take_snapshot)
        self._snapshot_later()

    def _make_traffic(self) -> Traffic:
        return Traffic(
            self.queue,
            self._rng("traffic"),
            self.hosts,
            checker=self.checker,
            profile=self.options.traffic,
            connectivity=self,
        )

    def _make_host(self, name: str, founders: tuple[str, ...], factory: MemberFactory) -> Host:
        return Host(
            name,
            founders,
            factory=factory,
            make_register=lambda: Register(checks_epoch=self.options.checks_epoch),
            **self._host_parts(name),
        )

    def _host_parts(self, name: str) -> dict[str, Any]:
        """What every kind of machine consists of."""
        options, rng = self.options, self._rng(f"machine {name}")
        clock = MemberClock(self.queue, rng.random() * 1000.0)
        clock.rate = 1.0 + options.drift * rng.choice((-1.0, 0.0, 1.0))
        disk = Disk(self._rng(f"disk {name}"), options.disk_profile())
        shared = {"queue": self.queue, "network": self.network, "checker": self.checker}
        own = {"disk": disk, "clock": clock, "rng": rng}
        return {**shared, **own, "events": self, "forgives": options.forgives}

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed} {purpose}")

    def _report(self) -> Report:
        return Report(
            seed=self.seed,
            options=self.options,
            plan=self.plan,
            struck=self._struck,
            violation=self.checker.violation,
            trace_hash=self._hash,
            trace=tuple(self._trace),
            tally=self.traffic.tally,
            leader_after_s=tuple(self._calm.leader_after_s),
            virtual_s=self.queue.now_s,
            rounds=self._rounds,
            leader_changes=len(self._leaders),
            member_changes=self.operator.changes,
        )


def _take_snapshot(member: Member) -> None:
    member.snapshot()
