"""One simulated machine: a supervisor, the workers of its node process, and their kernel timers.

The supervisor is a model of `molecule.serve`: it starts and kills workers as the node process asks,
reaps them, kills them all when the node process ends, and reports that end. What must stay true: a
worker outlives neither its supervisor nor its node process for long, and its timer fires although
it is stopped.
"""

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from molecule.node.control import WorkerDied
from tests.simulation.clock import EventQueue, MemberClock
from tests.simulation.whole.loop import ProcessLoop

_START_S = (0.05, 0.4)
_REAP_S = 0.003
_PIDS = itertools.count(10_000_000)


class Worker(Protocol):
    """One worker process; built by `worker.py`."""

    name: str

    @property
    def loop(self) -> ProcessLoop:
        """What it runs on."""


@dataclass(slots=True)
class _Running:
    worker: Worker
    pid: int
    dies_by: int | None = None
    """A signal that is pending, for a process that is stopped."""


@dataclass(slots=True)
class Control:
    """The line between one life of a node process and its supervisor; stands for `Control`."""

    machine: "Machine"
    life: int
    loop: ProcessLoop
    pids: dict[str, int] = field(default_factory=dict)
    told: "asyncio.Queue[WorkerDied]" = field(default_factory=asyncio.Queue)

    async def start_worker(self, worker: str, *, memory_bytes_max: int) -> None:
        """Ask for a new worker process."""
        del memory_bytes_max
        self.machine.asked_to_start(self, worker)

    async def kill_worker(self, worker: str) -> None:
        """Ask for its end."""
        self.machine.asked_to_kill(self, worker)

    async def deaths(self) -> AsyncIterator[WorkerDied]:
        """Deaths as they are told."""
        while True:
            yield await self.told.get()

    def close(self) -> None:
        """The supervisor sees the line end with the process."""


MakeWorker = Callable[["Machine", str], Worker]
ReportDeath = Callable[[str], None]


class Machine:
    """Everything of one node but the node process; the kernel and the supervisor."""

    def __init__(
        self, name: str, queue: EventQueue, clock: MemberClock, rng: random.Random
    ) -> None:
        self.name = name
        self.clock = clock
        self.queue = queue
        self.rng = rng
        self.is_frozen = False
        self.enforces_leases = True
        """Off: the kernel timers of workers are never armed; for the museum alone."""
        self.workers: dict[str, _Running] = {}
        self.control: Control | None = None
        self.make_worker: MakeWorker
        self.report_death: ReportDeath
        self._backlog: list[Callable[[], None]] = []
        self._turn = 0

    # The supervisor.

    def _do(self, delay_s: float, action: Callable[[], None]) -> None:
        """Something that the supervisor does a moment later, if it is awake then."""

        turn = self._turn

        def due() -> None:
            if turn != self._turn:
                return
            if self.is_frozen:
                self._backlog.append(action)
            else:
                action()

        self.queue.after(delay_s, due)

    def node_started(self, control: Control) -> None:
        """A new life of the node process begins."""
        self.control = control

    def node_ended(self, life: str, *, reports: bool) -> None:
        """The node process ended: no worker outlives it, and others are told."""
        self.control = None
        doomed = dict(self.workers)

        def reaped() -> None:
            for name, running in doomed.items():
                if self.workers.get(name) is running:
                    self._remove(name, -signal.SIGKILL)
            if reports:
                self.report_death(life)

        self._do(_REAP_S * self.rng.random(), reaped)

    def power_lost(self) -> None:
        """Everything is gone at once, or the supervisor was killed with all below it."""
        self.control = None
        self._turn += 1
        self._backlog.clear()
        self.is_frozen = False
        for running in self.workers.values():
            running.worker.loop.kill()
        self.workers.clear()

    def forget(self) -> None:
        """The supervisor died with the rest: what it was about to do is not done."""
        self._turn += 1

    def asked_to_start(self, control: Control, name: str) -> None:
        """Start a worker for this life of the node process."""

        def start() -> None:
            if self.control is not control or name in self.workers:
                return
            pid = next(_PIDS)
            control.pids[name] = pid
            self.workers[name] = _Running(self.make_worker(self, name), pid)

        self._do(self.rng.uniform(*_START_S), start)

    def asked_to_kill(self, control: Control, name: str) -> None:
        """Kill a worker."""

        def kill() -> None:
            if self.control is control and name in self.workers:
                self._remove(name, -signal.SIGKILL)

        self._do(0.0005, kill)

    def _remove(self, name: str, code: int) -> None:
        """The kernel ended it; the supervisor reaps it and tells the node process."""
        running = self.workers.pop(name)
        running.worker.loop.kill()
        control = self.control
        if control is None:
            return

        def tell() -> None:
            if self.control is control:
                control.pids.pop(name, None)
                died = WorkerDied(name, running.pid, code)
                control.loop.post(control.told.put_nowait, died)

        self._do(_REAP_S * self.rng.random(), tell)

    # The kernel.

    def exited(self, worker: Worker, code: int) -> None:
        """A worker ended by itself, or by a signal that it was awake for."""
        running = self.workers.get(worker.name)
        if running is not None and running.worker is worker:
            self._remove(worker.name, code)

    def alarm(self, worker: Worker) -> None:
        """Its timer fired: it dies now, or before it executes anything once it is woken."""
        running = self.workers.get(worker.name)
        if running is None or running.worker is not worker or not self.enforces_leases:
            return
        if worker.loop.is_stopped:
            running.dies_by = signal.SIGALRM
        else:
            self._remove(worker.name, -signal.SIGALRM)

    # What faults do.

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill one of the workers; no when there is none."""
        if not self.workers:
            return False
        self._remove(rng.choice(list(self.workers)), -signal.SIGKILL)
        return True

    def stop_workers(self) -> list[Worker]:
        """SIGSTOP for all workers that run; those that it reached."""
        stopped = []
        for running in self.workers.values():
            if not running.worker.loop.is_stopped:
                running.worker.loop.stop()
                stopped.append(running.worker)
        return stopped

    def resume_worker(self, worker: Worker) -> None:
        """SIGCONT."""
        running = self.workers.get(worker.name)
        if running is None or running.worker is not worker or not worker.loop.is_stopped:
            return
        if running.dies_by is not None:
            self._remove(worker.name, -running.dies_by)
        else:
            worker.loop.resume()

    def freeze(self) -> None:
        """SIGSTOP of the supervisor."""
        self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT of the supervisor."""
        self.is_frozen = False
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            action()
