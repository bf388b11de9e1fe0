"""One run of the demo from an empty folder to a verdict.

Start three nodes, apply the process, drop the file, break nodes at shares of the work, wait for the
end, stop everything, count outside. What must stay true: no step waits for a length of time, each
waits for a condition and gives up aloud.
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from molecule.cli import local_process
from molecule.cli.local import LocalCluster, LocalError, down, up
from molecule.cli.local_process import ProcessMark
from molecule.cli.waiting import until
from molecule.demo import faults, outside, report
from molecule.demo.breaking import PROBE, Breaker
from molecule.demo.faults import PLAN, ClusterView, Due, FaultRecord
from molecule.demo.observer import Observer
from molecule.demo.outside import ENVIRONMENT, FLIGHTS_FILE, Outside
from molecule.demo.report import Ended, Report
from molecule.demo.view import View

NODES: Final = 3
START_WITHIN_S: Final = 30.0
APPLY_WITHIN_S: Final = 30.0
PROGRESS_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 240.0


@dataclass(frozen=True, slots=True)
class WorkOver:
    """All executions ended before the next fault could come."""


class Demo:
    """The state of one run; used once."""

    def __init__(self, folder: Path, view: View) -> None:
        self._folder = folder.resolve()
        self._view = view
        self._outside = Outside(self._folder, dict(os.environ))
        self._records: list[FaultRecord] = []
        self._work = len(outside.flights())
        self._began = 0.0

    async def run(self) -> tuple[Report, list[str], float]:
        """The report, what speaks against the run, and how many seconds the work took."""
        outside.clear(self._folder)
        self._outside.prepare()
        desk = self._outside.start_desk()
        cluster_folder = self._folder / "cluster"
        try:
            await self._desk_answers(desk)
            cluster = await up(cluster_folder, nodes=NODES, say=self._view.say)
            async with Observer(cluster) as observer:
                ended = await self._work_through(cluster, observer)
            seconds = asyncio.get_running_loop().time() - self._began
        finally:
            try:
                if (cluster_folder / "context.json").exists():
                    await down(cluster_folder, say=self._view.say)
            finally:
                await local_process.stop(desk, grace_s=10.0)
        counted = self._outside.count()
        told = report.build(flights=self._work, ended=ended, counts=counted, faults=self._records)
        against = report.objections(told, flights=self._work, unexpected=counted.unexpected)
        return told, against, seconds

    async def _work_through(self, cluster: LocalCluster, observer: Observer) -> Ended:
        await self._apply(cluster)
        self._outside.deliver()
        self._began = asyncio.get_running_loop().time()
        self._view.say(f"{FLIGHTS_FILE} arrived: {self._work:,} flights")
        breaker = Breaker(cluster, observer)
        for _ in PLAN:
            due: Due | WorkOver = await until(
                lambda: self._due(observer, breaker),
                what=f"the moment for fault {len(self._records) + 1}",
                within_s=END_WITHIN_S,
            )
            if isinstance(due, WorkOver):
                break
            self._view.say(f"{due.kind} of {due.victim.id} with {due.victim.in_flight} in flight")
            record = await self._watched(observer, breaker.carry_out(due))
            self._records.append(record)
            self._view.say(
                f"{record.moved} moved, accepting after {record.ms_to_next_accept} ms, "
                f"running after {record.ms_to_running} ms, "
                + (
                    f"{record.replaced_by} votes in its place"
                    if record.replaced_by
                    else f"{record.node} is back"
                )
            )
        return await until(
            lambda: self._ended(observer, breaker),
            what="the end of all executions",
            within_s=END_WITHIN_S,
        )

    async def _due(self, observer: Observer, breaker: Breaker) -> Due | WorkOver | None:
        """The next fault when it is time for it, or that it is too late for any."""
        view = await self._look(observer)
        if view is None:
            return None
        if view.ended >= self._work + breaker.probes:
            return WorkOver()
        return faults.due(PLAN, len(self._records), view, work=self._work)

    async def _watched(
        self, observer: Observer, breaking: Coroutine[Any, Any, FaultRecord]
    ) -> FaultRecord:
        """Carry out a fault while the view goes on."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(breaking)

            async def finished() -> bool | None:
                await self._look(observer)
                return True if working.done() else None

            watching = group.create_task(
                until(finished, what="the end of a fault", within_s=END_WITHIN_S, pause_s=0.3)
            )
            record = await working
            watching.cancel()
        return record

    async def _look(self, observer: Observer) -> ClusterView | None:
        view = await observer.look()
        seconds = asyncio.get_running_loop().time() - self._began
        self._view.show(work=self._work, seconds=seconds, cluster=view)
        return view

    async def _ended(self, observer: Observer, breaker: Breaker) -> Ended | None:
        """How it ended, once all is accepted, nothing is active and the file was put away."""
        await self._look(observer)
        status = await observer.status()
        if status is None:
            return None
        law, states = status["conservation"], status["counts"]
        if law["active"] or law["accepted"] < self._work + breaker.probes:
            return None
        # Parked executions wait for a person, and the file for them: that run ends here, badly.
        if not law["parked"] and not self._outside.is_put_away():
            return None
        return Ended(
            executions=law["accepted"] - breaker.probes,
            completed=law["completed"] - breaker.probes,
            failed=law["failed"] + law["cancelled"],
            in_doubt=states.get("IN_DOUBT", 0),
        )

    async def _apply(self, cluster: LocalCluster) -> None:
        files = self._outside.repository()
        async with cluster.client(timeout_s=APPLY_WITHIN_S) as client:
            answer = await client.post(
                f"{cluster.place.nodes[0].url}/api/v1/apply",
                params={"environment": ENVIRONMENT},
                json={"files": files},
            )
        if not answer.is_success:
            message = f"the processes were refused: {answer.text}"
            raise LocalError(message)
        self._view.say(f"applied {', '.join(sorted(path for path in files if PROBE not in path))}")

    async def _desk_answers(self, desk: ProcessMark) -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:

            async def look() -> bool | None:
                if not local_process.is_running(desk):
                    message = f"the airline desk ended; see {self._folder / 'airline-desk.log'}"
                    raise LocalError(message)
                try:
                    return (await client.get(self._outside.desk_url)).is_success or None
                except httpx2.TransportError:
                    return None

            await until(look, what="the airline desk", within_s=START_WITHIN_S)
