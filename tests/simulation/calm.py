"""The end of a run: faults stop, and what must then happen is waited for.

First, in some runs, only a majority is left in peace while the others stay in trouble; then
everybody is. Faults and traffic are left to others. What must stay true: in peace a leader exists
soon and stays, everything asked is answered, and all members end with one state.
"""

import random
from collections.abc import Callable
from typing import Protocol

from tests.simulation.clients import Traffic
from tests.simulation.faults import FaultKind
from tests.simulation.host import Host, ProcessState
from tests.simulation.invariants import Checker
from tests.simulation.member import Role
from tests.simulation.network import Network
from tests.simulation.operator import Operator
from tests.simulation.options import Options
from tests.simulation.strikes import SLOWEST_SYNC_S

_POLL_S = 0.02
# In election timeouts: how long a leader may be missing, from when it must stay, for how long.
_LEADERLESS_MAX = 10
_SETTLING = 2
# Where a sync takes a third of an election timeout, campaigns meet: this often in a row at most.
_ELECTIONS_MAX = 3
_LOAD = 4
_LINKING_MAX_S = 8.0
_CONVERGING_MAX_S = 30.0
_CHANGING_MAX_S = 60.0


class Stage(Protocol):
    """The parts of the world that the calm phases look at."""

    options: Options
    hosts: dict[str, Host]
    network: Network
    traffic: Traffic
    checker: Checker

    @property
    def now_s(self) -> float: ...

    def advance(self, until_s: float) -> bool: ...

    @property
    def members(self) -> list[str]:
        """Those that count."""

    operator: Operator
    draining_max_s: float
    """How long work that was asked for may take once all is well."""

    def heal_all(self) -> None: ...

    def reach_changed(self) -> None: ...


class CalmPhases:
    """Runs the calm phases; `leader_after_s` holds how long a talking majority had no leader."""

    def __init__(self, stage: Stage, election_s: float, rng: random.Random) -> None:
        self._stage = stage
        self._election_s = election_s
        self._rng = rng
        self._blocked: list[tuple[str, str]] = []
        self.leader_after_s: list[float] = []

    def run(self) -> None:
        """Both phases, up to the first violation."""
        stage = self._stage
        stage.heal_all()
        if FaultKind.SLOW_DISK in stage.options.kinds and not stage.advance(
            stage.now_s + SLOWEST_SYNC_S
        ):
            # A sync that began on a slow disk is as slow as that.
            return
        if stage.options.changes_every_s and not self._members_settle():
            return
        names = stage.members
        majority = self._majority(names)
        if stage.options.troubles_minority and majority is not None:
            minority = [name for name in names if name not in majority]
            self._trouble(minority)
            if not self._keeps_a_leader(majority):
                return
            self._release(minority)
        if self._keeps_a_leader(names):
            self._drain(names)

    def _members_settle(self) -> bool:
        """What was begun with members comes to an end, and the rest is switched off."""
        stage = self._stage
        operator = stage.operator
        operator.is_finishing = True
        done = self._wait(operator.is_done, _CHANGING_MAX_S)
        if stage.checker.violation is not None:
            return False
        if not done:
            # One disk was lost for good, another lost its tail: then there is no majority to trust.
            views = [host.view for host in stage.hosts.values() if host.view is not None]
            if operator.emptied is None or not any(view.has_doubts for view in views):
                self._missed("changes of members end", f"{operator.committed} stayed")
            return False
        operator.retire_others()
        return True

    def _majority(self, names: list[str]) -> list[str] | None:
        """Some majority that kept its disks, if others are left to be troubled."""
        views = {name: self._stage.hosts[name].view for name in names}
        sound = [name for name, view in views.items() if view and not view.has_doubts]
        self._rng.shuffle(sound)
        needed = len(names) // 2 + 1
        return sorted(sound[:needed]) if len(sound) >= needed < len(names) else None

    def _trouble(self, minority: list[str]) -> None:
        """Leave a minority in a state that must not disturb the others."""
        stage = self._stage
        kind = self._rng.choice(("isolated", "deaf", "mute", "down", "stopped"))
        for name in minority:
            host = stage.hosts[name]
            if kind == "down":
                host.kill()
            elif kind == "stopped":
                host.stop()
            for peer in stage.hosts:
                if peer == name or (kind in ("down", "stopped")):
                    continue
                if kind != "mute":
                    self._block(peer, name)
                if kind != "deaf":
                    self._block(name, peer)
        stage.reach_changed()

    def _block(self, source: str, target: str) -> None:
        self._stage.network.block(source, target)
        self._blocked.append((source, target))

    def _release(self, minority: list[str]) -> None:
        stage = self._stage
        for way in self._blocked:
            stage.network.unblock(*way)
        for name in minority:
            host = stage.hosts[name]
            if host.state is ProcessState.DOWN:
                host.start()
            host.resume()
        stage.reach_changed()

    def _keeps_a_leader(self, members: list[str]) -> bool:
        """Among members that talk a leader appears in time, and once settled it stays."""
        stage = self._stage
        if not self._wait(lambda: self._are_linked(members), _LINKING_MAX_S):
            return self._missed("members that can talk do", f"{members} are not linked")
        linked_s = stage.now_s
        # Another campaign may have been on its way, with two syncs of its own ahead of it.
        settling_s = _SETTLING * self._election_s + 4 * stage.options.sync_max_s
        for attempt in range(_ELECTIONS_MAX):
            if not self._finds_a_leader(members):
                return False
            if attempt == 0:
                self.leader_after_s.append(stage.now_s - linked_s)
            if not stage.advance(stage.now_s + settling_s):
                return False
            before = self._leader_of(members)
            if before is not None:
                break
        end_s = stage.now_s + _LOAD * self._election_s
        while stage.now_s < end_s:
            if not stage.advance(min(end_s, stage.now_s + _POLL_S)):
                return False
            now = self._leader_of(members)
            if now is None or now != before:
                return self._missed(
                    "no elections while all is well", f"{members} went from {before} to {now}"
                )
        return True

    def _finds_a_leader(self, members: list[str]) -> bool:
        stage = self._stage
        begun_s, limit_s = stage.now_s, _LEADERLESS_MAX * self._election_s
        return self._wait(lambda: self._leader_of(members) is not None, limit_s) or self._missed(
            "a majority that talks has a leader",
            f"{members} had none {limit_s:.1f} s after {begun_s:.3f} s",
        )

    def _drain(self, members: list[str]) -> None:
        """Clients stop; each has its answer, and all members end with the same state."""
        stage = self._stage
        stage.traffic.is_stopping = True
        if not self._wait(stage.traffic.is_drained, stage.draining_max_s):
            self._missed("what clients ask is answered", "clients still wait")
            return
        if not self._wait(lambda: self._are_equal(members), _CONVERGING_MAX_S):
            ends = {name: stage.hosts[name].register.applied for name in members}
            self._missed("all members catch up", f"they stand at {ends}")
            return
        hashes = {name: stage.hosts[name].register.state_hash().hex() for name in members}
        if min(hashes.values()) != max(hashes.values()):
            self._missed("applied prefixes are equal", f"whole states differ: {hashes}")
        stage.checker.converged(
            {
                name: (stage.hosts[name].register.applied, stage.hosts[name].register.chain)
                for name in members
            }
        )

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        stage = self._stage
        end_s = stage.now_s + limit_s
        while not condition():
            if stage.now_s >= end_s or not stage.advance(stage.now_s + _POLL_S):
                return False
        return True

    def _missed(self, invariant: str, detail: str) -> bool:
        self._stage.checker.missed(invariant, detail)
        return False

    def _are_linked(self, members: list[str]) -> bool:
        stage = self._stage
        return all(stage.hosts[name].state is ProcessState.RUNNING for name in members) and all(
            stage.network.is_linked(a, b) for a in members for b in members if a < b
        )

    def _leader_of(self, members: list[str]) -> tuple[str, int] | None:
        """Whom a majority of all voters follows, and in which term."""
        stage = self._stage
        for name in members:
            view = stage.hosts[name].view
            if view is None or view.role is not Role.LEADER:
                continue
            views = [stage.hosts[member].view for member in stage.members]
            follow = [v for v in views if v and v.leader == name and v.term == view.term]
            if len(follow) > len(stage.members) // 2:
                return name, view.term
        return None

    def _are_equal(self, members: list[str]) -> bool:
        stage = self._stage
        ends = [stage.hosts[name].register.applied for name in members]
        return min(ends) == max(ends) >= stage.checker.committed_last
