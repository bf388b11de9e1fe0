"""Carrying out one fault of the demo, and measuring what it cost.

`faults.py` says when and to whom; this file kills or freezes every process of that node, watches
from the other nodes where its executions go, and brings the node back.
"""

import asyncio
import shutil
import signal
from collections.abc import Mapping
from typing import Final

from molecule.cli import local_process
from molecule.cli.local import LocalCluster
from molecule.cli.local_process import ProcessMark
from molecule.cli.waiting import until
from molecule.demo import faults
from molecule.demo.faults import FREEZE_S, Due, FaultKind, FaultRecord, Moved, Place
from molecule.demo.observer import Observer
from molecule.demo.replacing import Replacing

MOVED_WITHIN_S: Final = 60.0
PROBE: Final = "probe"


class Breaker:
    """Breaks nodes of one cluster, one at a time. Counts the probes that it submits."""

    def __init__(self, cluster: LocalCluster, observer: Observer) -> None:
        self._cluster = cluster
        self._observer = observer
        self.probes = 0

    async def carry_out(self, due: Due) -> FaultRecord:
        """Break the victim, measure, mend; returns when the victim takes work again."""
        node = self._cluster.node(due.victim.id)
        mark = self._cluster.mark(node)
        if mark is None:
            message = f"{node.id} should be broken but does not run"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        self._observer.avoid(node.id)
        began = loop.time()
        thawed = self._strike(due.kind, mark)
        if due.kind is FaultKind.DISK_LOSS:
            await local_process.until_gone(mark, within_s=10.0)
            shutil.rmtree(node.data)
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(self._ms_to_accept(began))
            moving = group.create_task(self._moved(node.id, began))
            group.create_task(thawed.wait())
        replaced_by = ""
        if due.kind is FaultKind.DISK_LOSS:
            replaced_by = await Replacing(self._cluster, node.id).carry_out()
        else:
            if due.kind is not FaultKind.FREEZE:
                await local_process.until_gone(mark, within_s=10.0)
                self._cluster.start(node)
            await self._cluster.ready(node)
        self._observer.avoid("")
        moved = moving.result()
        return FaultRecord(
            kind=due.kind,
            node=node.id,
            in_flight=due.victim.in_flight,
            moved=moved.count,
            ms_to_next_accept=accepting.result(),
            ms_to_running=moved.ms_to_running,
            replaced_by=replaced_by,
            ms_to_replaced=_ms_since(began) if replaced_by else 0,
        )

    def _strike(self, kind: FaultKind, mark: ProcessMark) -> asyncio.Event:
        """Kill or freeze; the event is set when a frozen node was woken, at once for a dead one."""
        over = asyncio.Event()
        if kind is not FaultKind.FREEZE:
            local_process.signal_all(mark, signal.SIGKILL)
            over.set()
            return over

        def wake() -> None:
            local_process.signal_all(mark, signal.SIGCONT)
            over.set()

        local_process.signal_all(mark, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(FREEZE_S, wake)
        return over

    async def _ms_to_accept(self, began: float) -> int:
        self.probes += 1
        await self._observer.accepted(PROBE, f"probe-{self.probes}")
        return _ms_since(began)

    async def _moved(self, victim: str, began: float) -> Moved:
        """Follow every execution that the cluster says the victim has, until each goes on."""
        assigned = await until(
            self._observer.assigned, what="somebody who answers", within_s=MOVED_WITHIN_S
        )
        before = {each: place for each, place in assigned.items() if place.node == victim}
        waiting = dict(before)
        ended_in_time: set[str] = set()

        async def look() -> bool | None:
            now = await self._now(waiting)
            for execution, place in now.items():
                if faults.runs_again(before[execution], place):
                    del waiting[execution]
                    if not faults.was_moved(before[execution], place):
                        ended_in_time.add(execution)
            return None if waiting else True

        await until(look, what=f"the work of {victim} to go on", within_s=MOVED_WITHIN_S)
        return Moved(len(before) - len(ended_in_time), _ms_since(began))

    async def _now(self, waiting: Mapping[str, Place]) -> dict[str, Place]:
        assigned = await self._observer.assigned()
        if assigned is None:
            return {}
        now = {each: place for each, place in assigned.items() if each in waiting}
        gone = [each for each in waiting if each not in assigned]
        return now | await self._observer.places(gone)


def _ms_since(began: float) -> int:
    return round((asyncio.get_running_loop().time() - began) * 1000)
