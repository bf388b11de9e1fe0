"""All that this worker runs: executions and triggers, begun and stopped as the node process orders.

One `match` over its orders. What must stay true: nothing runs before the first lease is armed,
and when the stream to the node process ends, everything stops.
"""

import asyncio
from typing import Final

import structlog

from molecule.component.registry import Registry
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import kernel, requests, volatile
from molecule.worker.runner import ExecutionRunner, Services
from molecule.worker.stream import NodeStream, OpenStream
from molecule.worker.triggers import TriggerRunner

_log = structlog.get_logger()

_STATUS_S: Final = 0.25


class WorkerHost:
    """Built by the root, run once."""

    def __init__(self, stream: NodeStream, services: Services, registry: Registry) -> None:
        self._stream = stream
        self._services = services
        self._registry = registry
        self._executions: dict[str, tuple[ExecutionRunner, asyncio.Task[None]]] = {}
        self._triggers: dict[tuple[str, str], tuple[TriggerRunner, asyncio.Task[None]]] = {}
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._held_back: list[w.ToWorker] = []
        self._group = asyncio.TaskGroup()
        self._ended = asyncio.Event()

    async def run(self, hello: w.WorkerHello, open_stream: OpenStream) -> None:
        """Work until the node process ends the stream or asks for the end."""
        async with self._group:
            tasks = [
                self._group.create_task(self._carry(hello, open_stream)),
                self._group.create_task(self._report()),
                self._group.create_task(self._tidy_up()),
            ]
            await self._ended.wait()
            for task in [*tasks, *self._tasks()]:
                task.cancel()

    def tell_status(self) -> None:
        """Tell now which steps run."""
        running = [
            w.WorkerStatus.Running(
                execution=execution, token=runner.token, step=runner.progress.step
            )
            for execution, (runner, _) in self._executions.items()
        ]
        triggers = [
            w.TriggerStatus(
                environment=environment,
                process=process,
                token=runner.token,
                health=runner.faring.told(),
            )
            for (environment, process), (runner, _) in self._triggers.items()
        ]
        status = w.WorkerStatus(
            resident_bytes=kernel.resident_bytes(),
            running=running,
            complete=True,
            triggers=triggers,
        )
        self._stream.tell(w.FromWorker(status=status))

    def _tell_step(self, execution: str, token: int, step: str) -> None:
        running = [w.WorkerStatus.Running(execution=execution, token=token, step=step)]
        status = w.WorkerStatus(resident_bytes=kernel.resident_bytes(), running=running)
        self._stream.tell(w.FromWorker(status=status))

    async def _carry(self, hello: w.WorkerHello, open_stream: OpenStream) -> None:
        try:
            await self._stream.run(hello, open_stream, self.handle)
        finally:
            self._ended.set()

    async def _report(self) -> None:
        tells = False
        while True:
            await asyncio.sleep(_STATUS_S)
            # While nothing runs every second one is enough to be known as alive.
            tells = not tells or bool(self._executions)
            if tells:
                self.tell_status()

    async def _tidy_up(self) -> None:
        while True:
            await asyncio.sleep(_STATUS_S)
            await self._services.packages.close_unused()

    def handle(self, order: w.ToWorker) -> None:
        """Obey one order of the node process."""
        match order.WhichOneof("kind"):
            case "lease":
                self._services.lease.renew(order.lease.until_boottime_us)
                self._services.clock.hear(order.lease.cluster_time_ms)
                held, self._held_back = self._held_back, []
                for waiting in held:
                    self.handle(waiting)
            case "package":
                self._services.packages.put(order.package.version, order.package.content)
            case "run" | "run_trigger" if not self._services.lease.until_us:
                self._held_back.append(order)
            case "request":
                self._begin_request(order.request)
            case "stop_request":
                self._stop_request(order.stop_request.number)
            case "run":
                self._begin(order.run)
            case "stop":
                self._forget_held_back(order.stop)
                self._stop(order.stop)
            case "hand_back":
                self._hand_back(order.hand_back)
            case "run_trigger":
                self._begin_trigger(order.run_trigger)
            case "stop_trigger":
                self._forget_held_back(order.stop_trigger)
                self._stop_trigger(order.stop_trigger)
            case "shutdown":
                self._ended.set()
            case unknown:
                _log.warning("order_unknown", kind=unknown)

    def _begin(self, order: w.RunExecution) -> None:
        known = self._executions.get(order.execution)
        if known is not None:
            if known[0].token >= order.token:
                return
            self._cancel(order.execution)
        runner = ExecutionRunner(order, self._services, self._tell_step)
        task = self._group.create_task(self._run(order.execution, runner))
        self._executions[order.execution] = (runner, task)

    async def _run(self, execution: str, runner: ExecutionRunner) -> None:
        try:
            await runner.run()
        finally:
            known = self._executions.get(execution)
            if known is not None and known[0] is runner:
                del self._executions[execution]

    def _stop(self, order: w.StopExecution) -> None:
        known = self._executions.get(order.execution)
        if known is not None and known[0].token <= order.token:
            self._cancel(order.execution)

    def _hand_back(self, order: w.HandBack) -> None:
        known = self._executions.get(order.execution)
        if known is None or known[0].token != order.token:
            return
        runner, task = known
        runner.hand_back(at_once=order.at_once)
        if order.at_once:
            task.cancel()

    def _forget_held_back(self, order: w.StopExecution | w.StopTrigger) -> None:
        """An order to run may still be held back when the one to stop comes; tokens are unique."""
        self._held_back = [
            held
            for held in self._held_back
            if order.token not in (held.run.token, held.run_trigger.token)
        ]

    def _cancel(self, execution: str) -> None:
        runner, task = self._executions.pop(execution)
        runner.stop()
        task.cancel()

    def _begin_trigger(self, order: w.RunTrigger) -> None:
        name = (order.environment, order.process)
        known = self._triggers.get(name)
        if known is not None:
            if known[0].token >= order.token:
                return
            known[1].cancel()
        services = self._services
        runner = TriggerRunner(order, services)
        self._triggers[name] = (runner, self._group.create_task(runner.run()))

    def _stop_trigger(self, order: w.StopTrigger) -> None:
        name = (order.environment, order.process)
        known = self._triggers.get(name)
        if known is not None and known[0].token <= order.token:
            del self._triggers[name]
            known[1].cancel()

    def _begin_request(self, request: w.WorkerRequest) -> None:
        task = self._group.create_task(self._answer(request))
        self._requests[request.number] = task
        task.add_done_callback(lambda _: self._requests.pop(request.number, None))

    def _stop_request(self, number: int) -> None:
        task = self._requests.get(number)
        if task is not None:
            task.cancel()

    async def _answer(self, request: w.WorkerRequest) -> None:
        services = self._services
        if request.WhichOneof("kind") == "volatile":
            await volatile.run(request.volatile, services, self._reply_to(request.number))
            return
        reply = await requests.answer(request, services.packages, self._registry, services.limits)
        self._stream.tell(w.FromWorker(reply=reply))

    def _reply_to(self, number: int) -> volatile.Say:
        def say(reply: w.WorkerReply) -> None:
            reply.number = number
            self._stream.tell(w.FromWorker(reply=reply))

        return say

    def _tasks(self) -> list[asyncio.Task[None]]:
        running = [task for _, task in (*self._executions.values(), *self._triggers.values())]
        return [*running, *self._requests.values()]
