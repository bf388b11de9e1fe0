"""One execution in this worker: obeys the interpreter's instructions and gives it the events.

Local work is done in place, requests and commits beside it. What must stay true: directly before a
request leaves, lease and token are checked, and a fenced execution stops without another word.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final, assert_never

import structlog

from molecule.component.contract import CallContext, Reply
from molecule.config import Limits
from molecule.engine import positions
from molecule.engine.events import (
    Committed,
    Event,
    OpenIntent,
    RequestFailed,
    RequestPerformed,
    RequestsPrepared,
    Started,
    StepRan,
    TimerFired,
)
from molecule.engine.failures import Failure
from molecule.engine.instructions import (
    Commit,
    Finish,
    Instruction,
    PerformRequest,
    PrepareRequests,
    RunStep,
    StartTimer,
)
from molecule.engine.interpreter import Interpreter
from molecule.engine.run import ExecutionFacts
from molecule.model.effect import ErrorClass
from molecule.model.errors import MoleculeError
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, EffectKey, ExecutionId
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker import components, speaker
from molecule.worker.caches import Caches
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.evidence import Evidence, TellStep
from molecule.worker.gates import FREE, Answered, GateKeeper, Leave, Permit, PermitOver
from molecule.worker.inside import Inside
from molecule.worker.kernel import Fenced, Lease
from molecule.worker.packages import Opened, Packages
from molecule.worker.processing import Processing
from molecule.worker.speaker import Calls, Refused, Speaker

_log = structlog.get_logger()

_READING: Final = -1
HANDED_BACK: Final = "drained"


class Leaving(Enum):
    """Whether the execution is to be given back before its end."""

    NOT = auto()
    SOON = auto()
    NOW = auto()


@dataclass(frozen=True, slots=True)
class Services:
    """What all work of a worker shares. `settle_ms`: lease plus margin of this cluster."""

    calls: Calls
    lease: Lease
    clock: ClusterClock
    packages: Packages
    processing: Processing
    limits: Limits
    settle_ms: int
    careful_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one local step of careful attempts that runs."""
    caches: Caches = field(default_factory=lambda: Caches(Limits()))


class ExecutionRunner:
    """One attempt. `run` ends when the attempt has ended, or was stopped or fenced."""

    def __init__(self, order: w.RunExecution, services: Services, tell_step: TellStep) -> None:
        self._order = order
        self._services = services
        self._speaker = Speaker(services.calls, order.execution, order.token, services.limits)
        self._inside = Inside(self._speaker, order, services.caches)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        """None only wakes the one who waits."""
        self._pending: deque[Event] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self._began_s = time.monotonic()
        self._under_way = 0
        self._is_stopped = False
        self._leaving = Leaving.NOT
        self._interpreter: Interpreter | None = None
        self._announced: set[EffectKey] = set()
        self._gates = GateKeeper(services.calls, order, services.limits)
        self.progress = Evidence(order, tell_step, services.careful_turn)

    @property
    def token(self) -> int:
        """The fencing token of this attempt."""
        return self._order.token

    def stop(self) -> None:
        """Send nothing any more; `run` is to be cancelled by its owner."""
        self._is_stopped = True

    def hand_back(self, *, at_once: bool) -> None:
        """Begin nothing any more and give the execution back: when nothing is under way, or now.

        For the latter `run` is to be cancelled by its owner directly after this.
        """
        self._leaving = Leaving.NOW if at_once else Leaving.SOON
        self._events.put_nowait(None)

    async def run(self) -> None:
        """Obey until `Finish` is committed. An error of the attempt itself ends it as FAILED."""
        try:
            try:
                await self._attempt()
            except asyncio.CancelledError:
                if self._leaving is not Leaving.NOW or self._is_stopped:
                    raise
                # Asked by the node that it serves: this very task says the last word.
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
                await self._give_back()
        except Fenced:
            _log.info("execution_fenced", execution=self._order.execution, token=self.token)
        except MoleculeError as error:
            await self._give_up(error.code, error.message)
        except Exception as error:  # noqa: BLE001
            # A named boundary: a fault of ours ends this execution, not the worker.
            _log.exception("execution_broken", execution=self._order.execution, token=self.token)
            await self._give_up("internal", f"{type(error).__name__}: {error}")
        finally:
            for timer in self._timers:
                timer.cancel()

    async def _attempt(self) -> None:
        order = self._order
        with self._services.packages.using(order.version, order.environment) as opened:
            await self._run_opened(opened)

    async def _run_opened(self, opened: Opened) -> None:
        interpreter = Interpreter(opened.process, self._facts(), self._services.limits)
        async with self.progress.turn():
            # Input and position are the execution's own: reading them may kill a worker, too.
            await self.progress.begin(_READING, "reading")
            started = await self._started()
            self.progress.end(_READING)
        self._pending.append(started)
        self._interpreter = interpreter
        try:
            async with asyncio.TaskGroup() as group:
                while self._leaving is Leaving.NOT or self._under_way or self._is_told():
                    event = await self._next()
                    instructions = interpreter.handle(event) if event is not None else []
                    for instruction in instructions:
                        if isinstance(instruction, Finish):
                            self.stop()
                            await self._speaker.finish(instruction)
                            return
                        if not self._may_begin(instruction):
                            continue
                        is_alone = len(instructions) == 1 and not self._under_way
                        found = await self._obey(instruction, opened, group, is_alone=is_alone)
                        if found is not None:
                            self._pending.append(found)
        except BaseExceptionGroup as group:
            raise _cause(group) from group
        await self._give_back()

    def _may_begin(self, instruction: Instruction) -> bool:
        if self._leaving is Leaving.NOT or isinstance(instruction, Commit):
            return True
        # The cluster was told that it is about to be sent: not to send it would leave a doubt.
        return isinstance(instruction, PerformRequest) and instruction.effect_key in self._announced

    async def _next(self) -> Event | None:
        return self._pending.popleft() if self._pending else await self._events.get()

    def _is_told(self) -> bool:
        """True while something that happened was not handled yet."""
        return bool(self._pending) or not self._events.empty()

    async def _give_back(self) -> None:
        """End the attempt with all that was done so far; the next owner goes on from there."""
        self.stop()
        instructions = self._interpreter.pause() if self._interpreter is not None else []
        kept = next((each for each in instructions if isinstance(each, Commit | Finish)), None)
        if isinstance(kept, Finish):
            await self._speaker.finish(kept)
        else:
            await self._speaker.hand_back(kept, reason=HANDED_BACK)

    async def _obey(
        self,
        instruction: Instruction,
        opened: Opened,
        group: asyncio.TaskGroup,
        *,
        is_alone: bool,
    ) -> Event | None:
        """The event, when it is known at once; else None, and it comes later."""
        match instruction:
            case RunStep():
                return await self._run_step(instruction)
            case PrepareRequests():
                return await self._prepare(instruction)
            case PerformRequest():
                work = self._perform(instruction, opened)
            case Commit():
                work = self._commit(instruction)
            case StartTimer():
                self._start_timer(instruction)
                return None
            case Finish():
                return None
            case _:
                assert_never(instruction)
        if is_alone:
            # Nothing else can happen meanwhile, so a task of its own would only cost.
            return await work
        self._under_way += 1
        group.create_task(self._beside(work))
        return None

    async def _beside(self, work: Coroutine[Any, Any, Event]) -> None:
        event = await work
        self._under_way -= 1
        self._events.put_nowait(event)

    async def _run_step(self, item: RunStep) -> Event:
        async with self.progress.turn():
            await self.progress.begin(item.call, item.step.path)
            began = time.perf_counter_ns()
            outcomes = await self._services.processing.run_step(item)
            spent_us = (time.perf_counter_ns() - began) // 1_000
            self.progress.end(item.call)
        lines, answers = components.lines(item), components.answers(item)
        return StepRan(item.call, self._now_ms(), spent_us, outcomes, lines, answers)

    async def _prepare(self, item: PrepareRequests) -> Event:
        async with self.progress.turn():
            await self.progress.begin(item.call, item.step.path)
            began = time.perf_counter_ns()
            requests = await self._services.processing.prepare(item)
            spent_us = (time.perf_counter_ns() - began) // 1_000
            self.progress.end(item.call)
        return RequestsPrepared(item.call, self._now_ms(), spent_us, requests)

    async def _perform(self, item: PerformRequest, opened: Opened) -> Event:
        gate = opened.gate(item.step.connection)
        if not gate.is_gated:
            return await self._send(item, opened, FREE)
        return await self._gates.through(
            item, gate, lambda permit: self._send(item, opened, permit), now_ms=self._now_ms
        )

    async def _send(self, item: PerformRequest, opened: Opened, permit: Permit) -> Answered:
        await self.progress.begin(item.call, item.step.path)
        began = time.perf_counter_ns()
        leave = Leave(self._check, permit)
        found: Reply | Failure
        try:
            client = self._inside.client(item.step) or await opened.client(item.step.connection)
        except MoleculeError as error:
            found = Failure(ErrorClass.PERMANENT, error.code, error.message, item.step.path)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code
            message = f"{item.step.connection} cannot be opened: {error}"
            found = Failure(ErrorClass.TRANSIENT_DEFINITE, "open", message, item.step.path)
        else:
            timeout_s = item.timeout_ms / 1_000
            deadline = asyncio.get_running_loop().time() + timeout_s
            call = CallContext(item.effect_key, timeout_s, deadline, leave, item.retry)
            try:
                found = await components.perform(item, client, call)
            except PermitOver:
                self.progress.end(item.call)
                raise
        spent_us = (time.perf_counter_ns() - began) // 1_000
        self.progress.end(item.call)
        if isinstance(found, Failure):
            return RequestFailed(item.call, self._now_ms(), spent_us, found, leave.sent)
        return RequestPerformed(item.call, self._now_ms(), spent_us, found)

    async def _commit(self, item: Commit) -> Event:
        announced = {intent.effect_key for intent in item.intents}
        if self._leaving is not Leaving.NOT:
            # What it announces is not going to be sent here.
            item = replace(item, intents=())
            self._announced -= announced
        else:
            self._announced |= announced
        await self._speaker.commit(item)
        self._inside.keys.sequence = item.checkpoint.sequence
        return Committed(item.number, self._now_ms())

    def _start_timer(self, item: StartTimer) -> None:
        loop = asyncio.get_running_loop()

        def fire() -> None:
            self._events.put_nowait(TimerFired(item.timer, self._now_ms()))

        self._timers.append(loop.call_later(item.delay_ms / 1_000, fire))

    def _check(self) -> None:
        """Lease and token, directly before a send. Raises `Fenced`."""
        self._services.lease.check()
        if self._is_stopped:
            raise Fenced

    async def _give_up(self, code: str, message: str) -> None:
        """End the attempt without the interpreter."""
        failure = Failure(ErrorClass.PERMANENT, code, message)
        # The cluster knows whether effects are in doubt, and refuses the first word when none are.
        for state in (ExecutionState.IN_DOUBT, ExecutionState.FAILED):
            end = Finish(state, (), None, (), (), (), failure=failure, reason=code)
            try:
                await self._speaker.finish(end)
            except Refused:
                continue
            except (Fenced, MoleculeError):
                pass
            return

    async def _started(self) -> Started:
        order = self._order
        given = order.input or await self._content(order.input_ref, order.HasField("input_ref"))
        position = order.position or await self._content(
            order.position_ref, order.HasField("position_ref")
        )
        blobs: dict[Digest, bytes] = {}
        for digest in positions.references(position) if position else ():
            content = await self._speaker.fetch(c.DocumentRef(digest=digest))
            if hashlib.sha256(content).hexdigest() != digest:
                raise MoleculeError(f"the document {digest} arrived damaged")
            blobs[digest] = content
        return Started(
            at_ms=self._now_ms(),
            documents=speaker.decode(given),
            position=position,
            blobs=blobs,
            sequence=order.sequence,
            open_intents=tuple(
                OpenIntent(EffectKey(one.intent.effect_key), one.intent.step, one.resolution)
                for one in order.open_intents
                if one.intent.effect == "once"
            ),
            deadline_in_ms=order.deadline_in_ms,
            signals=tuple([await self._speaker.signal(one) for one in order.signals]),
        )

    async def _content(self, reference: c.Payload, is_set: bool) -> bytes:  # noqa: FBT001
        if not is_set:
            return b""
        if reference.WhichOneof("body") == "inline":
            return reference.inline
        return await self._speaker.fetch(reference.stored)

    def _facts(self) -> ExecutionFacts:
        order = self._order
        origin = order.origin or order.execution
        seed = hashlib.sha256(origin.encode()).digest()
        return ExecutionFacts(
            ExecutionId(order.execution),
            ExecutionId(origin),
            order.submitted_at_ms,
            int.from_bytes(seed[:6]),
            self._services.settle_ms,
        )

    def _now_ms(self) -> int:
        return self._order.cluster_time_ms + int((time.monotonic() - self._began_s) * 1_000)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the work: being fenced before all else, for then nothing may be said any more."""
    fenced = group.subgroup(Fenced)
    found: BaseException = fenced if fenced is not None else group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
