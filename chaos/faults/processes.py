"""Processes that are killed, stopped or frozen; what confirms it is the table of processes."""

import asyncio
import random
import signal
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner.site import Site
from molecule.cli.waiting import NotInTime, until

_SEEN_WITHIN_S: Final = 10.0
_DOWN_S: Final = (0.2, 4.0)
_FREEZES_S: Final = (0.2, 1.0, 5.0, 8.0)
_LONG_FREEZE_S: Final = 40.0
_UNSEATS_FROM_S: Final = 3.0
"""Frozen so long, a leader lost its lease of leadership, whatever the machine was busy with."""
_NODES: Final = (Aim.LEADER, Aim.BUSY, Aim.IDLE)


@dataclass(slots=True)
class Kill:
    """`kill -9` of every process of some nodes; they are started again after a while."""

    nodes: tuple[str, ...]
    unseats: bool
    down_s: float
    kind: str = "kill"

    async def begin(self, site: Site) -> None:
        """All at once."""
        site.down |= set(self.nodes)
        for node in self.nodes:
            site.signal(node, signal.SIGKILL)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """No process is left."""
        for node in self.nodes:
            await site.gone(node)
        await asyncio.sleep(self.down_s)
        return {"processes_left": 0, "down_s": self.down_s}

    async def end(self, site: Site) -> None:
        """Start them again."""
        await site.start(*self.nodes)


@dataclass(slots=True)
class Stop:
    """SIGTERM: a node hands over and ends, and is started again: a rolling restart's step."""

    nodes: tuple[str, ...]
    unseats: bool
    kind: str = "stop"

    async def begin(self, site: Site) -> None:
        """Returns when it has ended."""
        for node in self.nodes:
            await site.stop(node)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """No process is left."""
        for node in self.nodes:
            await site.gone(node)
        return {"processes_left": 0}

    async def end(self, site: Site) -> None:
        """Start it again."""
        await site.start(*self.nodes)


@dataclass(slots=True)
class KillRole:
    """`kill -9` of one process of a node: its supervisor starts another, with another number."""

    nodes: tuple[str, ...]
    unseats: bool
    role: str
    kind: str
    _pid: int = 0
    _before: frozenset[int] = frozenset()

    async def begin(self, site: Site) -> None:
        """One process."""
        found = site.members(self.nodes[0], self.role)
        self._before = frozenset(member.pid for member in found)
        if found:
            self._pid = found[0].pid
            site.signal_one(self.nodes[0], self._pid, signal.SIGKILL)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """It is gone and another one is there."""

        async def look() -> int | None:
            pids = {member.pid for member in site.members(self.nodes[0], self.role)}
            fresh = pids - self._before
            return min(fresh) if fresh and self._pid not in pids else None

        if not self._pid:
            raise NotConfirmed(f"{self.nodes[0]} had no process {self.role}")
        try:
            another = await until(look, what=f"another {self.role}", within_s=30.0)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        return {"killed": self._pid, "started": another}

    async def end(self, site: Site) -> None:
        """The supervisor mends it."""
        await site.ready(*self.nodes)


@dataclass(slots=True)
class Freeze:
    """SIGSTOP of a whole node, or of the processes of one role; SIGCONT after a while."""

    nodes: tuple[str, ...]
    unseats: bool
    seconds: float
    role: str = ""
    kind: str = "freeze"
    _reached: set[int] = field(default_factory=set)

    async def begin(self, site: Site) -> None:
        """Every process, twice over, as new ones may be starting."""
        for _ in range(2):
            self._reached |= self._send(site, signal.SIGSTOP)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """The kernel tells each of those that the signal reached as stopped.

        Those that ended meanwhile count no more: a worker that is silent for long is killed.
        """

        async def look() -> int | None:
            states = self._states(site)
            return len(states) if states and set(states) == {"T"} else None

        try:
            stopped = await until(
                look, what="stopped processes", within_s=_SEEN_WITHIN_S, pause_s=0.01
            )
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        states = self._states(site)
        if set(states) - {"T"} or not (states or self.role):
            raise NotConfirmed(f"not stopped to the end: {stopped} were, {states} at the end")
        return {
            "stopped_processes": stopped,
            "until_the_end": len(states),
            "seconds": self.seconds,
        }

    async def end(self, site: Site) -> None:
        """Let them go on."""
        self._send(site, signal.SIGCONT)
        await site.ready(*self.nodes)

    def _states(self, site: Site) -> list[str]:
        members = [one for node in self.nodes for one in site.members(node, self.role)]
        return [one.state for one in members if one.pid in self._reached]

    def _send(self, site: Site, number: signal.Signals) -> set[int]:
        reached = set()
        for node in self.nodes:
            for member in site.members(node, self.role):
                # One that ends by itself meanwhile needs no signal.
                if site.signal_one(node, member.pid, number):
                    reached.add(member.pid)
        return reached


@dataclass(slots=True)
class RollingRestart:
    """Node after node is ended by SIGTERM and started again, as an upgrade does it."""

    nodes: tuple[str, ...]
    unseats: bool = False
    """Whoever leads hands over, to one of those whose turn comes later."""
    kind: str = "rolling_restart"
    _before: dict[str, set[int]] = field(default_factory=dict)

    async def begin(self, site: Site) -> None:
        """Returns when the last one takes work again."""
        for node in self.nodes:
            self._before[node] = {member.pid for member in site.members(node)}
            await site.stop(node)
            await site.start(node)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """No process is left of those that were there before."""
        left = {
            node: sorted(before & {member.pid for member in site.members(node)})
            for node, before in self._before.items()
        }
        if any(left.values()) or not all(self._before.values()):
            raise NotConfirmed(f"not all processes were replaced: {left}")
        return {"processes_replaced": sum(len(before) for before in self._before.values())}

    async def end(self, site: Site) -> None:
        """Those run again that were ended."""
        for node in self.nodes:
            if not site.members(node):
                await site.start(node)


def _leads(aim: Aim) -> bool:
    return aim is Aim.LEADER


def _kill(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    return Kill(nodes, unseats=_leads(aim), down_s=round(rng.uniform(*_DOWN_S), 1))


def _freeze(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_FREEZES_S)
    return Freeze(nodes, unseats=_leads(aim) and seconds >= _UNSEATS_FROM_S, seconds=seconds)


def _freeze_node_process(rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    seconds = rng.choice(_FREEZES_S)
    unseats = _leads(aim) and seconds >= _UNSEATS_FROM_S
    return Freeze(nodes, unseats, seconds, role="node", kind="freeze_node_process")


def _long_freeze(_rng: random.Random, nodes: tuple[str, ...], aim: Aim) -> Fault:
    return Freeze(nodes, unseats=_leads(aim), seconds=_LONG_FREEZE_S, kind="long_freeze")


KINDS: Final = (
    FaultKind("kill", (*_NODES, Aim.TWO, Aim.ALL), _kill),
    FaultKind("stop", _NODES, lambda _, nodes, aim: Stop(nodes, unseats=_leads(aim))),
    FaultKind(
        "kill_node_process",
        _NODES,
        lambda _, nodes, __: KillRole(nodes, False, "node", "kill_node_process"),
    ),
    FaultKind(
        "kill_worker", _NODES, lambda _, nodes, __: KillRole(nodes, False, "worker", "kill_worker")
    ),
    FaultKind(
        "kill_gateway",
        _NODES,
        lambda _, nodes, __: KillRole(nodes, False, "gateway", "kill_gateway"),
    ),
    FaultKind(
        "rolling_restart", (Aim.ALL,), lambda _, nodes, __: RollingRestart(nodes), is_long=True
    ),
    FaultKind("freeze", (*_NODES, Aim.TWO), _freeze),
    FaultKind("long_freeze", _NODES, _long_freeze, is_long=True),
    FaultKind("freeze_node_process", _NODES, _freeze_node_process),
    FaultKind(
        "freeze_worker",
        (Aim.BUSY, Aim.LEADER),
        lambda rng, nodes, _: Freeze(
            nodes, False, rng.choice(_FREEZES_S[1:]), role="worker", kind="freeze_worker"
        ),
    ),
)
