"""A node process in memory: enough of the door for surfaces to be tested against.

It accepts, remembers keys, ends executions at once with their input as result, and fails as told:
`troubles` are raised one per call, `down` at every call.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from molecule.model.errors import KeyConflict, MoleculeError, NotFound, Unauthenticated
from molecule.wire.v1.commands_pb2 import HttpAnswer
from molecule.wire.v1.door_pb2 import (
    ActRequest,
    AwaitReply,
    AwaitRequest,
    Credentials,
    ReadReply,
    ReadRequest,
    Submission,
    SubmitReply,
    SubmitRequest,
    SubmitResult,
)

TOKEN = "mol_test"


def an_execution(name: str = "e1", **fields: Any) -> dict[str, Any]:
    """An execution as the node process shows it."""
    shown = {
        "id": name,
        "durability": "durable",
        "state": "COMPLETED",
        "reason": "",
        "environment": "dev",
        "process": "echo",
        "version": "ab" * 32,
        "idempotency_key": "k1",
        "concurrency_key": "",
        "track": {},
        "group": "",
        "origin": name,
        "actor": "token/admin",
        "priority": 0,
        "node": "n1",
        "token": 7,
        "attempts": 1,
        "accepted_at_ms": 1_760_000_000_000,
        "started_at_ms": 1_760_000_000_010,
        "changed_at_ms": 1_760_000_000_250,
        "deadline_at_ms": 0,
        "expires_at_ms": 0,
        "input_size_bytes": 2,
        "position_size_bytes": 0,
        "sequence": 1,
        "steps": 2,
        "dead_letters": 0,
        "documents_failed": 0,
        "crashes": 0,
        "runs_alone": False,
        "held_for": "",
        "held_until_ms": 0,
        "doubts": [],
    }
    return shown | fields


@dataclass
class FakeDoor:
    """Implements the gateway's `DoorClient`."""

    processes: frozenset[str] = frozenset({"echo"})
    resources: dict[str, Any] = field(default_factory=dict)
    """JSON by `resource` or `resource/id`."""
    ends: bool = True
    """Whether executions that are waited for end."""
    fails: tuple[str, str] | None = None
    """Executions that are waited for end FAILED with this code and text."""
    answer: HttpAnswer | None = None
    """What executions that are waited for have answered already."""
    stuck: bool = False
    """Submissions are accepted and then never answered."""
    down: MoleculeError | None = None
    troubles: deque[MoleculeError] = field(default_factory=deque)
    lost_answers: int = 0
    """So many submit calls are carried out and then fail as `down` would: the answer is lost."""
    refusals: dict[str, deque[MoleculeError]] = field(default_factory=dict)
    """By idempotency key: refusals of that one submission, one per call."""
    calls: list[Any] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    keys: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    same: dict[str, bytes] = field(default_factory=dict)
    waited: dict[str, str] = field(default_factory=dict)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a stuck call was given up."""

    async def submit(self, request: SubmitRequest, *, timeout_s: float) -> SubmitReply:
        self._enter(request, timeout_s, request.credentials)
        reply = SubmitReply(results=[self._accept(request, item) for item in request.submissions])
        if self.stuck:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        if self.lost_answers:
            self.lost_answers -= 1
            raise self.troubles.popleft()
        return reply

    async def wait_for(self, request: AwaitRequest, *, timeout_s: float) -> AwaitReply:
        self._enter(request, timeout_s, request.credentials)
        results = []
        for execution in request.executions:
            if execution not in {name for _, name in self.keys.values()}:
                raise NotFound(f"no execution {execution}")
            results.append(self._ended(execution, waited_ms=request.wait_ms))
        return AwaitReply(results=results)

    async def read(self, request: ReadRequest, *, timeout_s: float) -> ReadReply:
        self._enter(request, timeout_s, request.credentials)
        name = f"{request.resource}/{request.id}" if request.id else request.resource
        if name not in self.resources:
            raise NotFound(f"no {request.resource} {request.id}", resource=request.resource)
        age_ms = 0 if request.fresh else 12
        return ReadReply(json=orjson.dumps(self.resources[name]), age_ms=age_ms)

    async def act(self, request: ActRequest, *, timeout_s: float) -> ReadReply:
        self._enter(request, timeout_s, request.credentials)
        name = f"{request.action}/{request.id}"
        if name not in self.resources:
            raise NotFound(f"no execution {request.id}")
        return ReadReply(json=orjson.dumps(self.resources[name]))

    async def called(self, times: int) -> None:
        """Wait until it was called so often."""
        while len(self.calls) < times:
            self.heard.clear()
            await self.heard.wait()

    def _enter(self, request: Any, timeout_s: float, credentials: Credentials) -> None:
        self.calls.append(request)
        self.timeouts_s.append(timeout_s)
        self.heard.set()
        if self.down is not None:
            raise self.down
        if self.troubles and not self.lost_answers:
            raise self.troubles.popleft()
        resource = getattr(request, "resource", "")
        if credentials.bearer != TOKEN and resource not in {"health", "metrics", "listeners"}:
            raise Unauthenticated("send the admin token: Authorization: Bearer …")

    def _accept(self, request: SubmitRequest, item: Submission) -> SubmitResult:
        key = item.idempotency_key
        if waiting := self.refusals.get(key):
            return refused(waiting.popleft())
        if request.process not in self.processes and not request.retry_of:
            return refused(NotFound(f"no process {request.process} is deployed"))
        body = request.process.encode() + (item.input or b"[]")
        same = item.content.encode() or body
        known = self.keys.get(key)
        if known is not None and self.same[key] != same:
            return refused(KeyConflict(f"key {key} was used with another body"))
        execution = known[1] if known else f"e{len(self.keys) + 1}"
        self.keys.setdefault(key, (body, execution))
        self.same.setdefault(key, same)
        result = self._ended(execution, waited_ms=request.wait_ms)
        result.repeated_key = known is not None
        if self.answer is not None and request.wait_ms:
            result.answer.CopyFrom(self.answer)
        return result

    def _ended(self, execution: str, *, waited_ms: int) -> SubmitResult:
        if waited_ms and self.ends:
            self.waited[execution] = "COMPLETED"
        if execution in self.waited and self.fails is not None:
            code, text = self.fails
            return SubmitResult(execution=execution, state="FAILED", error_code=code, error=text)
        if execution not in self.waited:
            return SubmitResult(execution=execution, state="ASSIGNED")
        body = next(body for body, name in self.keys.values() if name == execution)
        documents = body[body.index(b"[") :]
        return SubmitResult(execution=execution, state="COMPLETED", result=documents)


def refused(error: MoleculeError) -> SubmitResult:
    """The refusal of one submission, as the node process tells it."""
    return SubmitResult(
        refused_code=error.code,
        refused_message=error.message,
        refused_retryable=error.retryable,
        refused_definite=error.definite,
        refused_http=error.http,
    )
