"""Traffic: clients that write and read, and on every member a leader loop that claims epochs and
gives jobs away.

Faults and checks are left to others; a client only remembers what it was told. What must stay
true: an answer that never came is "unknown", never "failed"; a read's floor is what was
acknowledged to anybody before the read began.
"""

import random
from dataclasses import dataclass
from typing import Protocol

from tests.simulation.clock import EventQueue
from tests.simulation.host import Host, ProcessState
from tests.simulation.invariants import Checker
from tests.simulation.member import Role
from tests.simulation.register import claim, give_job, put


@dataclass(frozen=True, slots=True)
class TrafficProfile:
    """How much the clients of one run ask for."""

    clients: int = 2
    pause_s: float = 0.05
    reads: float = 0.3
    padding_max_bytes: int = 100
    patience_s: float = 3.0
    plans_every_s: float = 0.3
    planning_s: float = 0.4


class Connectivity(Protocol):
    """Whom a member could exchange words with."""

    def has_met_majority(self, member: str, since_s: float) -> bool:
        """Could it talk with a majority since an instant, though perhaps not with all at once."""


@dataclass(slots=True)
class _Asked:
    """A question on its way; removed when it is answered or given up."""

    client: "_Client | None"
    began_s: float
    data: bytes | None = None
    floor: int = 0


@dataclass(slots=True)
class _Client:
    """One client: it asks one thing at a time and repeats what certainly did not happen."""

    name: str
    sequence: int = 0
    waiting: int | None = None
    again: bytes | None = None


@dataclass(slots=True)
class _Leading:
    """What the leader loop of one member knows; it dies with the process."""

    life: int = 0
    term: int = -1
    planned: int = 0
    claim: int = 0
    """The ticket of the claim under way or committed."""
    claim_index: int = 0
    claimed_at_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """What the clients were told."""

    written: int = 0
    read: int = 0
    refused: int = 0
    unknown: int = 0
    jobs: int = 0


class Traffic:
    """All clients and leader loops of one run."""

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        hosts: dict[str, Host],
        *,
        checker: Checker,
        profile: TrafficProfile,
        connectivity: Connectivity,
    ) -> None:
        self._queue = queue
        self._rng = rng
        self._hosts = hosts
        self._checker = checker
        self._profile = profile
        self._connectivity = connectivity
        self._asked: dict[int, _Asked] = {}
        self._tickets = 0
        self._clients = [_Client(f"c{number}") for number in range(profile.clients)]
        self._leading = {name: _Leading() for name in hosts}
        self.tally = Tally()
        self.is_stopping = False

    def start(self) -> None:
        for client in self._clients:
            self._queue.after(self._rng.random() * self._profile.pause_s, self._ask, client)
        for name in self._hosts:
            self._queue.after(self._rng.random(), self._lead, name)

    def burst(self, host: Host, count: int) -> None:
        """One-time clients that nobody waits for."""
        for _ in range(count):
            self._say(host, put(f"b-{self._tickets}"))

    def is_drained(self) -> bool:
        """Has every client had its answer."""
        return all(client.waiting is None and client.again is None for client in self._clients)

    def forget(self) -> None:
        """Clients hang up: answers to what was asked before now are not waited for."""
        for client in self._clients:
            if client.waiting is not None:
                self._give_up(client, client.waiting)

    # Answers.

    def settled(self, member: str, ticket: int, index: int | None, *, definite: bool) -> None:
        """A proposal came to an end on a member."""
        asked = self._asked.pop(ticket, None)
        if asked is None or asked.data is None:
            return
        if index is not None:
            self._check_reach(member, asked, f"acknowledged entry {index}")
            self._checker.acknowledged(member, index, asked.data)
            self.tally.written += asked.client is not None
            if self._leading[member].claim == ticket:
                self._leading[member].claim_index = index
        elif definite:
            self.tally.refused += 1
        else:
            self.tally.unknown += 1
        client = asked.client
        if client is not None and client.waiting == ticket:
            client.again = asked.data if index is None and definite else None
            self._next(client)

    def read_from(self, member: str, ticket: int, index: int | None) -> None:
        """A fresh read came to an end on a member."""
        asked = self._asked.pop(ticket, None)
        if asked is None:
            return
        if index is None:
            self.tally.refused += 1
        else:
            self._check_reach(member, asked, f"served a fresh read from {index}")
            self._checker.read(member, index, asked.floor)
            # Whoever reads later must not see less.
            self._checker.acknowledged_last = max(self._checker.acknowledged_last, index)
            self.tally.read += 1
        if asked.client is not None and asked.client.waiting == ticket:
            self._next(asked.client)

    def _check_reach(self, member: str, asked: _Asked, what: str) -> None:
        if not self._connectivity.has_met_majority(member, asked.began_s):
            self._checker.spoke_while_cut_off(member, what, asked.began_s)

    # Clients.

    def _next(self, client: _Client) -> None:
        client.waiting = None
        pause_s = self._profile.pause_s * (0.2 + 1.6 * self._rng.random())
        self._queue.after(pause_s, self._ask, client)

    def _ask(self, client: _Client) -> None:
        if client.waiting is not None or (self.is_stopping and client.again is None):
            return
        host = self._choose()
        if host is None:
            self._next(client)
            return
        profile = self._profile
        ticket = self._ticket()
        client.waiting = ticket
        self._queue.after(profile.patience_s, self._give_up, client, ticket)
        if client.again is None and self._rng.random() < profile.reads:
            floor = self._checker.acknowledged_last
            self._asked[ticket] = _Asked(client, self._queue.now_s, floor=floor)
            host.call(lambda member: member.barrier(ticket))
            return
        data = client.again or self._new_entry(client)
        client.again = None
        self._asked[ticket] = _Asked(client, self._queue.now_s, data)
        host.call(lambda member: member.propose(data, ticket))

    def _new_entry(self, client: _Client) -> bytes:
        client.sequence += 1
        padding = int(self._profile.padding_max_bytes * self._rng.random() ** 4)
        return put(f"{client.name}-{client.sequence}", padding)

    def _give_up(self, client: _Client, ticket: int) -> None:
        if client.waiting == ticket:
            self.tally.unknown += 1
            self._next(client)

    def _choose(self) -> Host | None:
        """Mostly whoever claims to lead (there may be several), sometimes anybody."""
        awake = [host for host in self._hosts.values() if host.state is not ProcessState.DOWN]
        leading = [host for host in awake if host.view and host.view.role is Role.LEADER]
        among = leading if leading and self._rng.random() < 0.95 else awake
        return self._rng.choice(among) if among else None

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    # Leader loops.

    def _lead(self, name: str) -> None:
        """One round of a member's leader loop: claim when elected, plan when the claim stands."""
        pause_s = self._profile.plans_every_s * (0.5 + self._rng.random())
        self._queue.after(pause_s, self._lead, name)
        host, leading = self._hosts[name], self._leading[name]
        view = host.view
        if host.state is not ProcessState.RUNNING or view is None or view.role is not Role.LEADER:
            return
        if leading.life != host.life:
            self._leading[name] = leading = _Leading(host.life)
        if leading.term != view.term:
            self._leading[name] = leading = _Leading(host.life, view.term)
        epoch = host.register.minted.get(leading.claim_index)
        if epoch is None or epoch != host.register.epoch:
            self._claim(host, leading)
        elif not self.is_stopping:
            leading.planned = max(leading.planned, host.register.job) + 1
            planning_s = self._profile.planning_s * self._rng.random()
            self._queue.after(planning_s, self._carry_out, name, epoch, leading.planned)

    def _claim(self, host: Host, leading: _Leading) -> None:
        now_s = self._queue.now_s
        if not leading.claim or now_s - leading.claimed_at_s > self._profile.patience_s:
            leading.claimed_at_s = now_s
            leading.claim = self._say(host, claim(host.name, f"{host.life}.{self._tickets}"))

    def _carry_out(self, planner: str, epoch: int, job: int) -> None:
        """A plan is proposed some time after it was made, by whichever member leads then."""
        host = self._choose()
        if host is not None:
            self.tally.jobs += 1
            self._say(host, give_job(planner, epoch, job, str(self._tickets)))

    def _say(self, host: Host, data: bytes) -> int:
        ticket = self._ticket()
        self._asked[ticket] = _Asked(None, self._queue.now_s, data)
        host.call(lambda member: member.propose(data, ticket))
        return ticket
