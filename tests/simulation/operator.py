"""Who changes the members of a run: lets machines join, promotes, removes, replaces, moves leaders.

Asks whoever claims to lead, as people do, and knows only answers; what machines are switched off or
emptied is decided by what was ever seen committed. Faults and clients are left to others. What must
stay true: a disk is emptied only where the others keep a majority of theirs.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from molecule.raft.changes import AddLearner, Change, Promote, Readdress, Remove
from molecule.raft.configuration import Configuration, Member
from tests.simulation.clock import EventQueue
from tests.simulation.host import Host, ProcessState
from tests.simulation.member import Role
from tests.simulation.network import Network

_VOTERS_MAX = 5
_KINDS = ("join", "join", "leave", "replace", "move", "readdress")
_HASTY_KINDS = ("join", "leave", "leave", "leave", "move")
_HASTY_LEAVES = 0.1


class Site(Protocol):
    """The parts of a world that the operator touches."""

    queue: EventQueue
    hosts: dict[str, Host]
    network: Network

    def reach_changed(self) -> None: ...

    def note(self, *facts: object) -> None: ...


@dataclass(slots=True)
class _Asked:
    """A change on its way; over when it is answered or its member died."""

    ticket: int
    host: Host
    life: int


class Operator:
    """One run's changes of the members."""

    def __init__(self, site: Site, rng: random.Random, founders: tuple[str, ...]) -> None:
        self._site = site
        self._rng = rng
        self._tickets = 0
        self._asked: _Asked | None = None
        self._every_s = 0.0
        self._waits = True
        self.committed = Configuration.formed_of(founders)
        """The newest that any member ever knew to be committed."""
        self.emptied: str | None = None
        """A voter that lost its disk and was not removed yet."""
        self.is_finishing = False
        self.changes = 0

    def start(self, every_s: float, *, waits: bool) -> None:
        """Do something now and then, one change after the other, or without waiting for answers."""
        self._every_s, self._waits = every_s, waits
        self._later()

    def saw(self, host: Host) -> None:
        """A member as it stands after a round."""
        committed = None if host.view is None else host.view.committed
        if committed is not None and committed.index > self.committed.index:
            self.committed = committed
            self.changes += 1

    def settled(self, ticket: int) -> None:
        """A change was answered."""
        if self._asked is not None and self._asked.ticket == ticket:
            self._asked = None

    def is_out(self, host: Host) -> bool:
        """Was this machine, with the disk it has, removed for good."""
        return self.committed.is_removed(host.name, self._birth(host))

    def is_done(self) -> bool:
        """Nothing is on its way, and everybody left is a voter that is here."""
        site, committed = self._site, self.committed
        in_force = [self._in_force(site.hosts[name]) for name in committed.voter_ids]
        return (
            self.emptied is None
            # What a leader takes up later would change who is a majority.
            and (self._asked is None or not self._is_under_way(self._asked))
            and not committed.learners
            and all(known is not None and known.index == committed.index for known in in_force)
            and all(self._is_here(member) for member in committed.voters)
        )

    def retire_others(self) -> None:
        """Switch off all machines that do not belong to the cluster."""
        for host in self._site.hosts.values():
            if not self.committed.is_voter(host.name):
                self._retire(host)

    # Inside.

    def _later(self) -> None:
        pause_s = min(self._every_s, 0.3) if self.is_finishing else self._every_s
        self._site.queue.after(pause_s * (0.5 + self._rng.random()), self._round)

    def _round(self) -> None:
        self._later()
        asked = self._asked
        if asked is not None and self._waits:
            if self._is_under_way(asked):
                return
            self._asked = None
        leader = self._leader()
        if leader is None or leader.view is None or leader.view.configuration is None:
            return
        now_in = leader.view.configuration
        if self.emptied is not None and not now_in.is_voter(self.emptied):
            self._forget_emptied()
        if self.emptied is not None:
            self._ask(leader, Remove(self.emptied))
        elif not self._tidy_up(leader, now_in) and not self.is_finishing:
            self._begin_something(leader, now_in)

    def _is_under_way(self, asked: _Asked) -> bool:
        return asked.host.life == asked.life and asked.host.state is not ProcessState.DOWN

    def _leader(self) -> Host | None:
        leading = [
            host
            for host in self._site.hosts.values()
            if host.state is ProcessState.RUNNING and host.view and host.view.role is Role.LEADER
        ]
        return self._rng.choice(leading) if leading else None

    def _tidy_up(self, leader: Host, now_in: Configuration) -> bool:
        """Go on with what was begun: learners, newcomers, those that left."""
        ready = leader.view.ready if leader.view is not None else ()
        for learner in now_in.learners:
            if not self._is_here(learner):
                return self._ask(leader, Remove(learner.node))
            if learner.node in ready and self._rng.random() < 0.8:
                return self._ask(leader, Promote(learner.node))
            if self._rng.random() < (0.0 if self.is_finishing else 0.05):
                return self._ask(leader, Remove(learner.node))
        for host in self._site.hosts.values():
            if not host.is_enrolled or self._belongs(host) or now_in.member(host.name):
                continue
            lingers = not self.is_finishing and self._rng.random() < 0.7
            if self.is_out(host) or host.name not in self.committed.addresses:
                if lingers and not self.is_out(host):
                    return self._ask(leader, AddLearner(self._member(host)))
                if not lingers:
                    self._retire(host)
        return False

    def _begin_something(self, leader: Host, now_in: Configuration) -> None:
        voters = now_in.voter_ids
        kind = self._rng.choice(_KINDS if self._waits else _HASTY_KINDS)
        some = self._rng.choice(voters)
        if not self._waits and kind == "leave":
            # Hasty people remove whoever does not answer.
            silent = [v for v in voters if not self._reaches(leader, v)]
            some = self._rng.choice(silent) if silent else some
            kind = kind if silent or self._rng.random() < _HASTY_LEAVES else "join"
        if kind == "join" and len(voters) < _VOTERS_MAX and not now_in.learners:
            self._let_join(leader)
        elif kind == "leave" and len(voters) > 1:
            self._ask(leader, Remove(some))
        elif kind == "replace":
            self._lose_disk(self._site.hosts[some])
        elif kind == "move":
            leader.call(lambda member: member.transfer(some))
        elif kind == "readdress":
            self._ask(leader, Readdress(some, f"{some}:{self._rng.randrange(1000)}"))

    def _reaches(self, leader: Host, voter: str) -> bool:
        return voter == leader.name or self._site.network.is_linked(leader.name, voter)

    def _let_join(self, leader: Host) -> None:
        spares = [host for host in self._site.hosts.values() if not host.is_enrolled]
        if spares:
            host = self._rng.choice(spares)
            host.empty_disk()
            host.is_enrolled = True
            self._site.note("joins", host.name, host.birth)
            host.start()
            self._site.reach_changed()
            self._ask(leader, AddLearner(self._member(host)))

    def _lose_disk(self, host: Host) -> None:
        """A machine burns down, if that leaves a majority of every configuration that may count."""
        everybody = [other for other in self._site.hosts.values() if other.configurations]
        others = [other for other in everybody if other is not host and other.is_enrolled]
        is_settled = all(
            other.configurations[-1][1].index <= self.committed.index for other in everybody
        )
        is_sound = all(other.view is not None and not other.view.has_doubts for other in others)
        if len(self.committed.voters) < 3 or not is_settled or not is_sound:
            return
        if self._waits and self.emptied is None and self.committed.is_voter(host.name):
            self._site.note("loses its disk", host.name)
            self.emptied = host.name
            self._retire(host)

    def _forget_emptied(self) -> None:
        if self.emptied is not None and not self.committed.is_voter(self.emptied):
            self.emptied = None

    def _retire(self, host: Host) -> None:
        if host.is_enrolled:
            self._site.note("is switched off", host.name)
            host.is_enrolled = False
            host.kill()
            host.empty_disk()
            self._site.reach_changed()

    def _ask(self, leader: Host, change: Change) -> bool:
        self._tickets -= 1
        ticket = self._tickets
        self._asked = _Asked(ticket, leader, leader.life)
        self._site.note("asks", leader.name, change)
        ask: Callable[..., None] = lambda member: member.change(change, ticket)  # noqa: E731
        leader.call(ask)
        return True

    def _in_force(self, host: Host) -> Configuration | None:
        return host.view.configuration if host.view is not None else None

    def _belongs(self, host: Host) -> bool:
        known = self.committed.member(host.name)
        return known is not None and known.birth in ("", self._birth(host))

    def _is_here(self, member: Member) -> bool:
        host = self._site.hosts[member.node]
        return host.is_enrolled and member.birth in ("", self._birth(host))

    def _birth(self, host: Host) -> str:
        return host.birth

    def _member(self, host: Host) -> Member:
        return Member(host.name, f"{host.name}:1", host.birth)
