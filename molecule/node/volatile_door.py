"""Submissions to processes with `durability: volatile`: run at once, answered, never in the log.

The node that is asked makes the id and finds a place: itself, else the least loaded voter. What
must stay true: it is tried again elsewhere only while nothing was told to its caller, at most
`volatile_tries_max` times, always under the same id and so the same effect keys.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster import apply_volatile, queues
from molecule.cluster.changes import EntryResult
from molecule.cluster.state import ClusterState, Deployment, Version
from molecule.config import Limits
from molecule.model.errors import (
    DeadlineExceeded,
    InvalidInput,
    MoleculeError,
    Unavailable,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import NodeId, ProcessName
from molecule.node import listeners, wire
from molecule.node.clock import wall_ms
from molecule.node.identify import Identifier
from molecule.node.peers import SayMore
from molecule.node.submit import SubmitDoor, new_execution_id
from molecule.node.volatile import VolatileHost, strongest
from molecule.node.volatile_records import VolatileRecords
from molecule.telemetry.volatile_metrics import VolatileMetrics
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

VOLATILE: Final = "volatile"
_FAILED: Final = ExecutionState.FAILED.value


class Others(Protocol):
    """The calls to other nodes."""

    async def volatile(
        self, node: str, request: p.VolatileRequest, say_more: SayMore, /, *, within_s: float
    ) -> w.VolatileSaid:
        """Have it run there. A definite error: it did not begin."""
        ...


@dataclass(slots=True)
class _Asked:
    """One submission on its way."""

    order: w.RunVolatile
    ends_s: float
    """On the loop's clock, by the caller's wait or the process's time-out."""
    by_caller: bool
    submission: d.Submission
    actor: Actor
    tries: int = 0
    was_told: bool = False
    """Its caller has an answer already."""
    lost_at: list[str] = field(default_factory=list)


class VolatileDoor:
    """One per node process, used by its door. `run` must be running."""

    def __init__(
        self,
        *,
        node: str,
        state: Callable[[], ClusterState],
        cluster_time_ms: Callable[[], int],
        submits: SubmitDoor,
        identifier: Identifier,
        host: VolatileHost,
        others: Others,
        voters: Callable[[], Sequence[str]],
        records: VolatileRecords,
        metrics: VolatileMetrics,
        limits: Limits,
    ) -> None:
        self._node = node
        self._state = state
        self._cluster_time_ms = cluster_time_ms
        self._submits = submits
        self._identifier = identifier
        self._host = host
        self._others = others
        self._voters = voters
        self._records = records
        self._metrics = metrics
        self._limits = limits
        self._calls: dict[str, set[asyncio.Timeout]] = {}
        """Ours that run at each other node, each with what ends the wait for it."""
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Carry on what goes on after its caller was answered, and the records, until cancelled."""
        async with self._group:
            self._group.create_task(self._records.run())
            await asyncio.Event().wait()

    def entry_applied(self, result: EntryResult) -> None:
        """A listener of the replica: nobody waits for a node that is lost."""
        nodes, now_s = self._state().nodes, asyncio.get_running_loop().time()
        for node in result.changes.nodes:
            known = nodes.get(node)
            if known is None or not known.is_up:
                for here in self._calls.pop(node, ()):
                    here.reschedule(now_s)

    async def submit(self, request: d.SubmitRequest, wait_ms: int) -> d.SubmitReply | None:
        """What they came to; None when the process is not volatile: then nothing was done."""
        try:
            deployment, version = self._submits.deployment(request)
        except MoleculeError:
            return None  # told by whoever takes durable ones, who looks first at who asks
        if version.durability != VOLATILE:
            return None
        actor = listeners.actor(self._state(), request, self._identifier)
        policy.check(actor, Action.SUBMIT)
        self._submits.check_sizes(request.submissions)
        self._check(request, wait_ms)
        asked = [
            self._asked(one, request, deployment, version, actor=actor, wait_ms=wait_ms)
            for one in request.submissions
        ]
        if len(asked) == 1:
            return d.SubmitReply(results=[await self._result(asked[0])])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._result(one)) for one in asked]
        return d.SubmitReply(results=[task.result() for task in tasks])

    def _check(self, request: d.SubmitRequest, wait_ms: int) -> None:
        name = request.process
        if not wait_ms:
            raise InvalidInput(
                f"process {name} is volatile: nothing of its executions is kept, so whoever "
                "submits must wait for the result; add wait (REST: ?wait=10s, CLI: --wait 10s)",
                field="wait",
            )
        for submission in request.submissions:
            if submission.priority or submission.expires_in_ms or submission.expires_at_ms:
                raise InvalidInput(
                    f"process {name} is volatile: it begins at once, so priority and expires "
                    "have no effect; leave them out"
                )

    def _asked(
        self,
        submission: d.Submission,
        request: d.SubmitRequest,
        deployment: Deployment,
        version: Version,
        *,
        actor: Actor,
        wait_ms: int,
    ) -> _Asked:
        within_ms = min(wait_ms, version.timeout_ms or wait_ms)
        now_ms = self._cluster_time_ms()
        made = new_execution_id(wall_ms()).removeprefix("e")
        listener = listeners.of(self._state(), request)
        order = w.RunVolatile(
            execution=f"{apply_volatile.PREFIX}{made}",
            process=version.process,
            version=version.id,
            environment=deployment.environment,
            input=submission.input,
            origin=submission.origin,
            submitted_at_ms=now_ms,
            cluster_time_ms=now_ms,
            listens=listener is not None,
            checked=listener is not None and listener.checked,
        )
        ends_s = asyncio.get_running_loop().time() + within_ms / 1_000
        return _Asked(order, ends_s, within_ms == wait_ms, submission, actor)

    async def _result(self, asked: _Asked) -> d.SubmitResult:
        """What its caller is told: the answer of its listener, its end, or why it did not run."""
        if not asked.order.listens:
            return await self._to_its_end(asked, lambda _: None)
        first: asyncio.Future[d.SubmitResult] = asyncio.get_running_loop().create_future()

        def tell(result: d.SubmitResult) -> None:
            if not first.done():
                first.set_result(result)

        async def carry() -> None:
            tell(await self._to_its_end(asked, lambda said: tell(_told(asked, said))))

        task = self._group.create_task(carry())
        try:
            return await first
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _to_its_end(self, asked: _Asked, say_more: SayMore) -> d.SubmitResult:
        process = asked.order.process
        began_ns = time.monotonic_ns()
        self._metrics.started(process)

        def told(said: w.VolatileSaid) -> None:
            asked.was_told = True
            say_more(said)

        try:
            said = await self._somewhere(asked, told)
        except MoleculeError as refused:
            self._metrics.ended(process, "refused")
            return _refused(refused)
        except asyncio.CancelledError:
            self._metrics.ended(process, "given_up")
            raise
        if said.refused:
            self._metrics.ended(process, "refused")
            return _refused(InvalidInput(said.refused))
        if said.error_code == "timeout" and asked.by_caller:
            said.error_code = DeadlineExceeded.code
            said.error = "its caller's time ran out first; it was volatile, so it was ended"
        self._metrics.ended(process, said.state.lower())
        self._records.note(_record(asked, said, (time.monotonic_ns() - began_ns) // 1_000))
        return _told(asked, said)

    # ---- where

    async def _somewhere(self, asked: _Asked, say_more: SayMore) -> w.VolatileSaid:
        """What it came to at the first node that ran it to its end."""
        while True:
            self._check_may_begin(asked.order)
            said = await self._once(asked, say_more)
            if not said.lost:
                return said
            asked.lost_at.append(said.node)
            how = f"{said.lost} ({said.node})"
            if asked.was_told:
                message = f"it was lost after its caller had the answer: {how}"
                return w.VolatileSaid(state=_FAILED, error_code="lost", error=message)
            if asked.tries >= self._limits.volatile_tries_max:
                limit = f"volatile_tries_max, {self._limits.volatile_tries_max} times"
                message = f"who ran it was lost {limit}; the last time: {how}"
                return w.VolatileSaid(state=_FAILED, error_code="crash", error=message)
            self._metrics.retried(asked.order.process)

    def _check_may_begin(self, order: w.RunVolatile) -> None:
        self._host.check_lease()
        if queues.is_paused(self._state(), order.environment, ProcessName(order.process)):
            raise Unavailable(f"process {order.process} is paused; volatile ones do not wait")

    async def _once(self, asked: _Asked, say_more: SayMore) -> w.VolatileSaid:
        """One try: at the first place that takes it at once, else at the first that is starting."""
        refusals: list[MoleculeError] = []
        for at_once in (True, False):
            for node in self._places(asked):
                if self._left_ms(asked) <= 0:
                    raise strongest(refusals)
                try:
                    return await self._at(node, asked, say_more, at_once=at_once)
                except Unavailable as refused:
                    refusals.append(refused)
            if not any(type(refused) is Unavailable for refused in refusals):
                break
        raise strongest(refusals)

    def _places(self, asked: _Asked) -> list[str]:
        """The node itself first, then the least loaded; where it was lost before comes last."""
        nodes = self._state().nodes
        others = [
            node
            for node in self._voters()
            if node != self._node
            and (known := nodes.get(NodeId(node))) is not None
            and known.is_up
            and not known.is_draining
        ]
        others.sort(key=self._load)
        return sorted([self._node, *others], key=asked.lost_at.count)

    def _load(self, node: str) -> tuple[int, str]:
        known = self._state().nodes.get(NodeId(node))
        held = len(known.held) if known is not None else 0
        return len(self._calls.get(node, ())) + held, node

    async def _at(
        self, node: str, asked: _Asked, say_more: SayMore, *, at_once: bool
    ) -> w.VolatileSaid:
        """Try it there; raises when it did not begin."""
        order = w.RunVolatile()
        order.CopyFrom(asked.order)
        order.attempt = asked.tries + 1
        order.deadline_in_ms = max(1, self._left_ms(asked))
        if node == self._node:
            said = await self._host.run(order, say_more, at_once=at_once)
        else:
            said = await self._at_other(node, order, say_more, at_once=at_once)
        asked.tries += 1
        return said

    async def _at_other(
        self, node: str, order: w.RunVolatile, say_more: SayMore, *, at_once: bool
    ) -> w.VolatileSaid:
        here = asyncio.timeout(None)
        self._calls.setdefault(node, set()).add(here)
        within_s = (order.deadline_in_ms + self._limits.volatile_grace_ms) / 1_000
        request = p.VolatileRequest(run=order, at_once=at_once)
        try:
            async with here:
                return await self._others.volatile(node, request, say_more, within_s=within_s)
        except TimeoutError:
            return w.VolatileSaid(lost="the cluster took the node for lost", node=node)
        except DeadlineExceeded as late:
            return w.VolatileSaid(
                state=_FAILED, error_code="timeout", error=late.message, node=node
            )
        except Unavailable as refused:
            if refused.definite:
                raise
            return w.VolatileSaid(lost=refused.message, node=node)
        except MoleculeError as broken:
            return w.VolatileSaid(lost=broken.message, node=node)
        finally:
            self._calls.get(node, set()).discard(here)

    def _left_ms(self, asked: _Asked) -> int:
        return int((asked.ends_s - asyncio.get_running_loop().time()) * 1_000)


def _told(asked: _Asked, said: w.VolatileSaid) -> d.SubmitResult:
    result = d.SubmitResult(
        execution=asked.order.execution,
        state=said.state or ExecutionState.ASSIGNED.value,
        result=said.result,
        error_code=said.error_code,
        error=said.error,
        volatile=True,
    )
    if said.HasField("answer"):
        result.answer.CopyFrom(said.answer)
    return result


def _refused(error: MoleculeError) -> d.SubmitResult:
    return d.SubmitResult(
        refused_code=error.code,
        refused_message=error.message,
        refused_retryable=error.retryable,
        refused_definite=error.definite,
        refused_http=error.http,
        volatile=True,
    )


def _record(asked: _Asked, said: w.VolatileSaid, took_us: int) -> c.VolatileRecord:
    order = asked.order
    return c.VolatileRecord(
        execution=order.execution,
        environment=order.environment,
        process=order.process,
        version=order.version,
        node=said.node,
        tries=asked.tries,
        state=said.state,
        error_code=said.error_code,
        error=said.error,
        step=said.step,
        submitted_at_ms=order.submitted_at_ms,
        duration_us=took_us,
        input_size_bytes=len(order.input),
        steps=said.steps,
        idempotency_key=asked.submission.idempotency_key,
        origin=order.origin,
        actor=wire.actor_to_wire(asked.actor),
    )
