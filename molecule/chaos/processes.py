"""Faults of a local cluster: its processes are killed or frozen; the kernel confirms it.

What must stay true: only processes of this cluster are ever signalled, and what was stopped is let
go on whatever happened in between.
"""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import Any, Final

from molecule.chaos.faults import NotConfirmed, NotHealed
from molecule.cli import local_process
from molecule.cli.local import LocalCluster, LocalError
from molecule.cli.local_process import Member, ProcessMark
from molecule.cli.waiting import NotInTime, until

_SEEN_WITHIN_S: Final = 10.0
_ANOTHER_WITHIN_S: Final = 30.0
_READY_WITHIN_S: Final = 90.0
_WORKER: Final = "molecule.worker"
_STOPPED: Final = "T"


@dataclass(slots=True)
class Kill:
    """`kill -9` of every process of some nodes; they are started again after a while."""

    local: LocalCluster
    nodes: tuple[str, ...]
    down_s: float
    _marks: dict[str, ProcessMark] = field(default_factory=dict)
    _reached: int = 0

    async def begin(self) -> None:
        """All at once."""
        self._marks = _marks(self.local, self.nodes)
        for mark in self._marks.values():
            self._reached += local_process.signal_all(mark, signal.SIGKILL)

    async def confirm(self) -> dict[str, Any]:
        """No process is left of those that were there."""
        missing = [node for node in self.nodes if node not in self._marks]
        if missing:
            raise NotConfirmed(f"{', '.join(missing)} was not running")
        for node, mark in self._marks.items():
            try:
                await local_process.until_gone(mark, within_s=_SEEN_WITHIN_S)
            except NotInTime as error:
                raise NotConfirmed(f"{node}: {error}") from None
        await asyncio.sleep(self.down_s)
        return {"processes_killed": self._reached, "processes_left": 0, "down_s": self.down_s}

    async def end(self) -> None:
        """Start them again."""
        await revive(self.local, self.nodes)


@dataclass(slots=True)
class KillWorker:
    """`kill -9` of one worker of a node: its supervisor starts another, with another number."""

    local: LocalCluster
    node: str
    _pid: int = 0
    _before: frozenset[int] = frozenset()

    async def begin(self) -> None:
        """One process."""
        found = self._workers()
        if not found:
            raise NotConfirmed(f"{self.node} has no worker")
        self._before = frozenset(member.pid for member in found)
        self._pid = found[0].pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    async def confirm(self) -> dict[str, Any]:
        """It is gone and another one is there."""

        async def look() -> int | None:
            pids = {member.pid for member in self._workers()}
            fresh = pids - self._before
            return min(fresh) if fresh and self._pid not in pids else None

        try:
            another = await until(look, what="another worker", within_s=_ANOTHER_WITHIN_S)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        return {"killed": self._pid, "started": another}

    async def end(self) -> None:
        """The supervisor mends it."""
        await revive(self.local, (self.node,))

    def _workers(self) -> list[Member]:
        mark = self.local.mark(self.local.node(self.node))
        found = local_process.members(mark) if mark is not None else []
        return [one for one in found if _WORKER in one.command.split()]


@dataclass(slots=True)
class Freeze:
    """SIGSTOP of every process of some nodes; SIGCONT after a while."""

    local: LocalCluster
    nodes: tuple[str, ...]
    seconds: float
    _marks: dict[str, ProcessMark] = field(default_factory=dict)
    _reached: set[int] = field(default_factory=set)

    async def begin(self) -> None:
        """Every process, twice over, as new ones may be starting."""
        self._marks = _marks(self.local, self.nodes)
        for _ in range(2):
            for member in self._members():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGSTOP)
                    self._reached.add(member.pid)

    async def confirm(self) -> dict[str, Any]:
        """The kernel tells each of them as stopped, now and at the end of the time.

        A worker whose lease runs out meanwhile is ended by its timer, and counts no more; its node
        must still be there.
        """
        missing = [node for node in self.nodes if node not in self._marks]
        if missing:
            raise NotConfirmed(f"{', '.join(missing)} was not running")

        async def look() -> int | None:
            states = self._states()
            return len(states) if states and set(states) == {_STOPPED} else None

        try:
            stopped = await until(
                look, what="stopped processes", within_s=_SEEN_WITHIN_S, pause_s=0.01
            )
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        awake = [state for state in self._states() if state != _STOPPED]
        if awake:
            raise NotConfirmed(f"{len(awake)} of {stopped} processes did not stay stopped")
        ended = [node for node, mark in self._marks.items() if not local_process.is_running(mark)]
        if ended:
            raise NotConfirmed(f"{', '.join(ended)} ended while it was stopped")
        stayed = len(self._states())
        return {"stopped_processes": stopped, "until_the_end": stayed, "seconds": self.seconds}

    async def end(self) -> None:
        """Let them go on."""
        await revive(self.local, self.nodes)

    def _states(self) -> list[str]:
        return [one.state for one in self._members() if one.pid in self._reached]

    def _members(self) -> list[Member]:
        return [one for mark in self._marks.values() for one in local_process.members(mark)]


async def revive(local: LocalCluster, nodes: tuple[str, ...]) -> None:
    """Let every process of these nodes go on, start nodes that are gone, wait for all of them.

    `NotHealed` when one does not take work again.
    """
    try:
        places = [local.node(node) for node in nodes]
        for place in places:
            mark = local.mark(place)
            if mark is not None:
                local_process.signal_all(mark, signal.SIGCONT)
            if mark is None or not local_process.is_running(mark):
                await _start_anew(local, place.id, mark)
        for place in places:
            await local.ready(place, within_s=_READY_WITHIN_S)
    except (LocalError, NotInTime, OSError) as error:
        raise NotHealed(str(error)) from None


async def _start_anew(local: LocalCluster, node: str, left: ProcessMark | None) -> None:
    """What is left of a node whose supervisor is gone holds its ports: it ends first."""
    if left is not None:
        local_process.signal_all(left, signal.SIGKILL)
        await local_process.until_gone(left, within_s=_SEEN_WITHIN_S)
    local.start(local.node(node))


def _marks(local: LocalCluster, nodes: tuple[str, ...]) -> dict[str, ProcessMark]:
    found = {node: local.mark(local.node(node)) for node in nodes}
    return {node: mark for node, mark in found.items() if mark is not None}
