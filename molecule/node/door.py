"""The service behind the gateway. Thin: it identifies the actor, calls one verb, and translates."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import orjson

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster import listening
from molecule.config import Limits
from molecule.model.errors import (
    InvalidInput,
    MoleculeError,
    NoLeader,
    NotFound,
    OutcomeUnknown,
)
from molecule.model.ids import ExecutionId
from molecule.node import listeners
from molecule.node.actions import Actions
from molecule.node.clock import wall_ms
from molecule.node.cluster_actions import ClusterActions
from molecule.node.deploy import DeployDoor
from molecule.node.ends import Ends
from molecule.node.identify import Identifier
from molecule.node.node_actions import NodeActions
from molecule.node.payloads import Payloads
from molecule.node.process_actions import ProcessActions
from molecule.node.reads import Reads
from molecule.node.replica import Replica
from molecule.node.retention_door import RetentionDoor
from molecule.node.retries import Retries
from molecule.node.signals import Signals
from molecule.node.submit import Accepted, SubmitDoor
from molecule.node.table_actions import TableActions
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import door_pb2_grpc

_ANSWER_MS = 250
"""Kept of a call's time for its answer to travel."""

SubmitVolatile = Callable[[d.SubmitRequest, int], Awaitable[d.SubmitReply | None]]
"""Runs them within so many milliseconds; None: the process is durable."""

Health = Callable[[], Mapping[str, Any]]


class DoorService(door_pb2_grpc.DoorServicer):
    """One per node process, on its unix socket."""

    def __init__(
        self,
        *,
        identifier: Identifier,
        submit: SubmitDoor,
        deploy: DeployDoor,
        actions: Actions,
        nodes: NodeActions,
        process_actions: ProcessActions,
        tables: TableActions,
        signals: Signals,
        members: ClusterActions,
        reads: Reads,
        replica: Replica,
        store: StateStore,
        payloads: Payloads,
        health: Health,
        metrics: Callable[[], bytes],
        read_behind: Callable[[], Awaitable[None]],
        until_applied: Callable[[int], Awaitable[None]],
        limits: Limits,
        retention: RetentionDoor | None = None,
        age_s: Callable[[], float | None] = lambda: 0.0,
        volatile: SubmitVolatile | None = None,
    ) -> None:
        self._age_s = age_s
        self._retention = retention
        self._identifier = identifier
        self._submit = submit
        self._volatile = volatile
        self._deploy = deploy
        self._actions = actions
        self._nodes = nodes
        self._process_actions = process_actions
        self._tables = tables
        self._signals = signals
        self._members = members
        self._reads = reads
        self._retries = Retries(reads=reads, store=store, payloads=payloads)
        self._replica = replica
        self._ends = Ends(
            replica=replica, reads=reads, store=store, payloads=payloads, limits=limits
        )
        self._health = health
        self._metrics = metrics
        self._read_behind = read_behind
        self._until_applied = until_applied
        self._limits = limits

    @property
    def _within_s(self) -> float:
        return self._limits.door_wait_for_leader_ms / 1000

    async def submit(self, request: d.SubmitRequest, left_s: float) -> d.SubmitReply:
        """Accept, and wait for the end when asked."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + left_s
        if request.retry_of:
            policy.check(self._identifier.actor(request.credentials.bearer), Action.SUBMIT)
            # It may have ended on another node a moment ago.
            await self._catch_up()
            request = await self._retries.filled(request)
        volatile_ms = _cut(request.wait_ms, deadline_s - loop.time())
        try:
            found = await self._begun(request, volatile_ms)
        except NotFound:
            # Nothing was proposed. What was deployed through another node may not be here yet.
            async with _bounded(self._within_s):
                await self._read_behind()
            found = await self._begun(request, volatile_ms)
        if isinstance(found, d.SubmitReply):
            return found
        answers, index = found
        results = [_result(answer) for answer in answers]
        try:
            if request.wait_ms:
                # This node may be a step behind the leader; its copy would know nothing of them.
                await self._until_applied(index)
            left_ms = _cut(request.wait_ms, deadline_s - loop.time())
            await self._ends.wait(results, left_ms, accepted=True, listens=bool(request.listener))
        except MoleculeError as error:
            # They are accepted, so nothing that fails from here on is definite.
            raise OutcomeUnknown(f"the end cannot be told now: {error.message}") from error
        return d.SubmitReply(results=results)

    async def _begun(
        self, request: d.SubmitRequest, volatile_ms: int
    ) -> d.SubmitReply | tuple[list[Accepted], int]:
        """The ends of volatile ones, or what was accepted and by which entry."""
        if self._volatile is not None:
            ended = await self._volatile(request, volatile_ms)
            if ended is not None:
                return ended
        actor = listeners.actor(self._replica.state, request, self._identifier)
        return await self._submit.submit(actor, request, within_s=self._within_s)

    async def Await(self, request: d.AwaitRequest, context: Any) -> d.AwaitReply:  # noqa: N802
        """Executions as they stand at the end of the wait."""
        policy.check(self._identifier.actor(request.credentials.bearer), Action.READ)
        if any(not self._is_known(execution) for execution in request.executions):
            # Accepted through another node a moment ago, or a name that nobody ever had.
            await self._catch_up()
        results = [d.SubmitResult(execution=execution) for execution in request.executions]
        left_s = context.time_remaining()
        wait_ms = request.wait_ms if left_s is None else _cut(request.wait_ms, left_s)
        await self._ends.wait(results, wait_ms, accepted=False)
        return d.AwaitReply(results=results)

    async def Read(self, request: d.ReadRequest, _context: Any) -> d.ReadReply:  # noqa: N802
        """A resource as JSON."""
        match request.resource:
            case "health":
                return d.ReadReply(json=orjson.dumps(self._health()))
            case "metrics":
                return d.ReadReply(json=orjson.dumps({"text": self._metrics().decode()}))
            case "listeners":
                # For the gateway itself, before it knows whose rules hold for its caller.
                if request.fresh:
                    await self._catch_up()
                found = listening.views(self._replica.state)
                return d.ReadReply(json=orjson.dumps({"items": found}))
        policy.check(self._identifier.actor(request.credentials.bearer), Action.READ)
        if request.fresh:
            await self._catch_up()
        # Taken before: what is applied meanwhile makes the answer younger than it says.
        age_ms = 0 if request.fresh else self._age_ms()
        if request.resource == "retention" and self._retention is not None:
            view = await self._retention.show()
            return d.ReadReply(json=orjson.dumps(view), age_ms=age_ms)
        query = dict(request.query)
        try:
            view = await self._reads.read(request.resource, request.id, query)
        except NotFound:
            if request.fresh:
                raise
            # Another node may have answered for it a moment ago; to callers there is one cluster.
            await self._catch_up()
            age_ms = 0
            view = await self._reads.read(request.resource, request.id, query)
        return d.ReadReply(json=orjson.dumps(view), age_ms=age_ms)

    def _age_ms(self) -> int:
        """How old this node's copy may be; by its newest entry while no leader was heard."""
        age_s = self._age_s()
        if age_s is not None:
            return int(age_s * 1000)
        return max(0, wall_ms() - self._replica.state.time_ms)

    async def _catch_up(self) -> None:
        async with _bounded(self._within_s):
            await self._read_behind()

    async def Act(self, request: d.ActRequest, _context: Any) -> d.ReadReply:  # noqa: N802
        """Change something; the answer is what was changed."""
        actor = self._identifier.actor(request.credentials.bearer)
        fields = orjson.loads(request.json) if request.json else {}
        view: Mapping[str, Any]
        match request.action:
            case "apply":
                view = await self._deploy.apply(
                    actor, request.id, dict(request.files), within_s=self._within_s
                )
            case "cancel":
                await self._actions.cancel(actor, request.id, fields, within_s=self._within_s)
                view = await self._changed(request.id)
            case "release":
                await self._actions.release(actor, request.id, fields, within_s=self._within_s)
                view = await self._changed(request.id)
            case "fail":
                await self._actions.fail(actor, request.id, fields, within_s=self._within_s)
                view = await self._changed(request.id)
            case "resolve":
                # `all` means the doubts that this node's copy knows.
                async with _bounded(self._within_s):
                    await self._read_behind()
                await self._actions.resolve(actor, request.id, fields, within_s=self._within_s)
                view = await self._changed(request.id)
            case "plan_drain" | "drain" | "undrain" as what:
                view = await self._act_on_node(what, actor, request.id, fields)
            case "token" | "authority" | "join" | "leave" | "transfer" as what:
                view = await self._act_on_members(what, actor, request.id, fields)
            case "pause" | "resume" | "settle_key":
                view = await self._act_on_process(actor, request, fields)
            case "table_put" | "table_delete":
                view = await self._act_on_row(actor, request, fields)
            case "signal":
                view = await self._signals.tell(actor, request.id, fields, within_s=self._within_s)
            case "purge" if self._retention is not None:
                async with _bounded(self._within_s):
                    await self._read_behind()
                view = await self._retention.purge(actor, fields)
            case action:
                raise InvalidInput(f"there is no action {action}")
        return d.ReadReply(json=orjson.dumps(view))

    async def _act_on_process(
        self, actor: Actor, request: d.ActRequest, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        actions, name, within_s = self._process_actions, request.id, self._within_s
        if request.action == "settle_key":
            await actions.settle_key(actor, name, fields, within_s=within_s)
        else:
            paused = request.action == "pause"
            await actions.pause(actor, name, fields, paused=paused, within_s=within_s)
        with _done():
            await self._catch_up_if_possible()
            return await self._reads.read("process", name, {})

    async def _act_on_row(
        self, actor: Actor, request: d.ActRequest, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        name, within_s = request.id, self._within_s
        # Before anything is read: who may not change it learns nothing of it.
        policy.check(actor, Action.EDIT_TABLE)
        if request.action == "table_delete":
            await self._catch_up()
            was = await self._reads.read("row", name, {})
            await self._tables.delete(actor, name, within_s=within_s)
            return was
        await self._tables.put(actor, name, fields, within_s=within_s)
        with _done():
            await self._catch_up()
            return await self._reads.read("row", name, {})

    async def _changed(self, execution: str) -> Mapping[str, Any]:
        """The execution as this node sees it after the change, even when the leader is another."""
        with _done():
            await self._catch_up_if_possible()
            return await self._reads.read("execution", execution, {})

    async def _catch_up_if_possible(self) -> None:
        with contextlib.suppress(MoleculeError, TimeoutError):
            async with asyncio.timeout(self._within_s):
                await self._read_behind()

    async def _act_on_node(
        self, what: str, actor: Actor, name: str, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        # What a drain would do depends on what others hold now.
        await self._catch_up()
        if what == "plan_drain":
            return await self._nodes.plan(actor, name)
        if what == "drain":
            await self._nodes.drain(actor, name, fields, within_s=self._within_s)
        else:
            await self._nodes.undrain(actor, name, within_s=self._within_s)
        return await self._node_now(name)

    async def _act_on_members(
        self, what: str, actor: Actor, name: str, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        members, within_s = self._members, self._within_s
        match what:
            case "token":
                return await members.token(actor, fields, within_s=within_s)
            case "authority":
                return await members.authority()
            case "join":
                # The token may have been made at another node a moment ago.
                await self._catch_up()
                return await members.join(fields, within_s=within_s)
            case "leave":
                await self._catch_up()
                return await members.leave(actor, name, fields, within_s=within_s)
            case _:
                return await members.transfer(actor, str(fields.get("to", "")), within_s=within_s)

    async def _node_now(self, node: str) -> Mapping[str, Any]:
        with _done():
            await self._catch_up_if_possible()
            return await self._reads.read("node", node, {})

    def _is_known(self, execution: str) -> bool:
        state = self._replica.state
        name = ExecutionId(execution)
        return name in state.executions or name in state.ended


@contextlib.asynccontextmanager
async def _bounded(within_s: float) -> Any:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise NoLeader("no majority confirmed the read in time") from None


@contextlib.contextmanager
def _done() -> Iterator[None]:
    """Around showing what was changed: it is done, so nothing that fails from here is definite."""
    try:
        yield
    except MoleculeError as error:
        raise OutcomeUnknown(f"done, but not to be shown now: {error.message}") from error


def _cut(wait_ms: int, left_s: float) -> int:
    """The wait, cut to what the call's own deadline leaves for an answer."""
    return min(wait_ms, max(0, int(left_s * 1000) - _ANSWER_MS))


def _result(answer: Accepted) -> d.SubmitResult:
    if answer.refusal is None:
        return d.SubmitResult(
            execution=answer.execution,
            repeated_key=answer.repeated_key,
            idempotency_key=answer.idempotency_key,
        )
    refused = answer.refusal
    return d.SubmitResult(
        refused_code=refused.code,
        refused_message=refused.message,
        refused_retryable=refused.retryable,
        refused_definite=refused.definite,
        refused_http=refused.http,
    )
