"""A worker process of a simulated machine: the product's host, runner and engine on a loop.

Wiring only, as `molecule.worker.__main__` does it.
"""

import random
import signal
from collections.abc import Callable

from molecule.config import Limits, Timing
from molecule.rpc.message_queue import MessageQueue
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.caches import Caches
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.host import WorkerHost
from molecule.worker.kernel import KernelTimer, Lease
from molecule.worker.packages import Packages
from molecule.worker.processing import Processing
from molecule.worker.runner import Services
from molecule.worker.stream import NodeStream
from tests.simulation.whole import processes
from tests.simulation.whole.loop import ProcessLoop
from tests.simulation.whole.machine import Machine
from tests.simulation.whole.pipe import Pipe, ServeWorker
from tests.simulation.whole.target import Sent, Target, WorkerLoop

Sees = Callable[["SimWorker", w.ToWorker], None]


class _Timer(KernelTimer):
    """The timer of a simulated kernel."""

    def __init__(self, arm: Callable[[float], None], fired: Callable[[], None]) -> None:
        self._arm = arm
        self._fired = fired

    def set(self, seconds: float) -> None:
        self._arm(seconds)

    def fire(self) -> None:
        self._fired()


class SimWorker:
    """One worker, from its start to its death."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        node: ProcessLoop,
        serve: ServeWorker,
        *,
        target: Target,
        failed: Callable[[str], None],
        sees: Sees,
        leaves: Callable[["SimWorker", Sent], None],
        leaving_s: float,
        limits: Limits,
        timing: Timing,
        rng: random.Random,
        wall_off_s: float,
    ) -> None:
        self.name = name
        self._machine = machine
        self.loop = WorkerLoop(  # type: ignore[abstract]
            f"{machine.name}/{name}",
            machine.queue,
            machine.clock,
            rng,
            failed=failed,
            wall_off_s=wall_off_s,
        )
        self.loop.target = target
        self.loop.leaving_s = leaving_s
        self.loop.leaves = lambda sent: leaves(self, sent)
        self.loop.dies = lambda: machine.exited(self, -signal.SIGKILL)
        self.tokens: dict[str, int] = {}
        """What it was told to run, by execution."""
        self._armed_until_s = 0.0
        self._pipe = Pipe(machine.queue, rng, node, self.loop, serve)
        self._sees = sees
        self._start(limits, timing)
        kill = self.loop.kill

        def killed() -> None:
            kill()
            self._pipe.worker_ended()

        self.loop.kill = killed  # type: ignore[method-assign]

    def _start(self, limits: Limits, timing: Timing) -> None:
        """The main function of a worker process."""
        registry = processes.registry()
        with self.loop.entered():
            stream = NodeStream(MessageQueue(limits))
            services = Services(
                calls=stream,
                lease=Lease(timer=_Timer(self._arm, self._fired)),
                clock=ClusterClock(self.loop.time),
                packages=Packages(registry, limits),
                processing=Processing(),
                limits=limits,
                settle_ms=timing.lease_ms + timing.lease_margin_ms,
                caches=Caches(limits),
            )
            host = WorkerHost(stream, services, registry)
            handle = host.handle

            def seen(order: w.ToWorker) -> None:
                if order.WhichOneof("kind") == "run":
                    self.tokens[order.run.execution] = order.run.token
                self._sees(self, order)
                handle(order)

            host.handle = seen  # type: ignore[method-assign]
            hello = w.WorkerHello(worker=self.name, pid=1, software="sim")
            self.loop.start(host.run(hello, self._pipe.open_stream), self._ended)

    def _arm(self, seconds: float) -> None:
        """The kernel's timer, which needs nothing of the process."""
        machine = self._machine
        self._armed_until_s = until_s = machine.clock.now_s() + seconds
        machine.queue.at(machine.clock.true_s(until_s), self._alarm, until_s)

    def _alarm(self, until_s: float) -> None:
        if until_s != self._armed_until_s or self.loop.is_dead:
            return
        clock = self._machine.clock
        if clock.now_s() < until_s - 1e-7:
            self._machine.queue.at(clock.true_s(until_s), self._alarm, until_s)
        else:
            self._machine.alarm(self)

    def _fired(self) -> None:
        if self._machine.enforces_leases:
            self._machine.exited(self, -signal.SIGALRM)

    def _ended(self, error: BaseException | None) -> None:
        self._machine.exited(self, 0 if error is None else 1)
