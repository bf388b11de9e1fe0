"""Volatile executions: run by the same runner, with a node process that is played here.

Words and documents of the runner are answered at once and kept in memory until its end. What must
stay true: nothing of them leaves this worker but what is said to who waits.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from molecule.config import Limits
from molecule.model import payload
from molecule.model.errors import LimitExceeded, MoleculeError, StepError
from molecule.model.execution import ExecutionState
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.runner import ExecutionRunner, Services

_log = structlog.get_logger()

_TOKEN: Final = 1

Say = Callable[[w.WorkerReply], None]
"""Tells the node process; the last reply is the one that does not go on."""


class _Played:
    """Answers one runner as its node process would, as long as nothing has to be kept."""

    def __init__(self, order: w.RunVolatile, limits: Limits, answered: Callable[..., None]) -> None:
        self._order = order
        self._limits = limits
        self._answered = answered
        self._blobs: dict[str, bytes] = {}
        self._size_bytes = 0
        self._steps: list[c.StepRecord] = []
        self._has_answered = False
        self.end: c.EndAttempt | None = None

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        """The answer to what the runner says."""
        match message.WhichOneof("kind"):
            case "word":
                outcomes = [self._word(command) for command in message.word.commands]
                return w.CallAnswer(done=True, outcomes=outcomes)
            case "document_put":
                return self._put(message.document_put.content)
            case "document_get":
                content = self._blobs.get(message.document_get.reference.digest, b"")
                return w.CallAnswer(done=True, content=content)
            case kind:
                told = f"a volatile execution cannot ask for {kind}"
                return w.CallAnswer(code="forbidden", message=told, definite=True)

    def _word(self, command: c.Command) -> w.WordOutcome:
        match command.WhichOneof("kind"):
            case "record_checkpoint":
                said: c.RecordCheckpoint | c.EndAttempt = command.record_checkpoint
            case "end_attempt" if command.end_attempt.state != ExecutionState.IN_DOUBT:
                said = self.end = command.end_attempt
            case kind:
                return w.WordOutcome(code="refused", message=f"a volatile execution says no {kind}")
        self._steps.extend(said.steps)
        if said.HasField("answer") and not self._has_answered:
            self._has_answered = True
            self._answered(said.answer)
        return w.WordOutcome(applied=True)

    def _put(self, content: bytes) -> w.CallAnswer:
        self._size_bytes += len(content)
        limit = self._limits.volatile_bytes_max
        if self._size_bytes > limit:
            told = f"a volatile execution may hold volatile_bytes_max, {limit} bytes"
            return w.CallAnswer(code=LimitExceeded.code, message=told, definite=True)
        digest = hashlib.sha256(content).hexdigest()
        self._blobs[digest] = content
        reference = c.DocumentRef(digest=digest, size_bytes=len(content))
        return w.CallAnswer(done=True, reference=reference)

    def said(self) -> w.VolatileSaid:
        """What it came to, for who waits."""
        end = self.end
        if end is None:
            return w.VolatileSaid(lost="it was stopped: the worker has no lease any more")
        state = end.state
        said = w.VolatileSaid(
            state=state,
            error_code=end.error_code,
            error=end.error or end.reason,
            step=end.step,
            steps=self._steps[: self._limits.volatile_steps_told_max],
        )
        if state == ExecutionState.COMPLETED:
            said.error = ""
            is_stored = end.result.WhichOneof("body") == "stored"
            said.result = self._blobs[end.result.stored.digest] if is_stored else end.result.inline
        elif state != ExecutionState.FAILED:
            said.state = ExecutionState.FAILED.value
            said.error_code = "durability"
            said.error = f"it would have become {state}; volatile executions only run and end"
        return said


async def run(order: w.RunVolatile, services: Services, say: Say) -> None:
    """Run it to its end and say what it came to; cancelled when nobody waits any more."""

    def answered(answer: c.HttpAnswer) -> None:
        if order.listens:
            say(w.WorkerReply(volatile=w.VolatileSaid(answer=answer), goes_on=True))

    try:
        refusal = _refusal(order, services)
        if refusal:
            said = w.VolatileSaid(refused=refusal)
        else:
            said = await _ended(order, services, answered)
    except MoleculeError as error:
        say(w.WorkerReply(code=error.code, message=error.message))
        return
    except Exception as error:  # noqa: BLE001  # a named boundary: who waits gets the error
        _log.exception("volatile_broken", execution=order.execution)
        say(w.WorkerReply(code="internal", message=f"{type(error).__name__}: {error}"))
        return
    say(w.WorkerReply(volatile=said))


def _refusal(order: w.RunVolatile, services: Services) -> str:
    """Why the listener's rules let this request not in; empty: they do."""
    if not order.checked:
        return ""
    door = services.packages.open(order.version, order.environment).process.door
    try:
        door.stamp(payload.decode_documents(order.input), now_ms=time.time_ns() // 1_000_000)
    except StepError as error:
        return error.message
    return ""


async def _ended(
    order: w.RunVolatile, services: Services, answered: Callable[[c.HttpAnswer], None]
) -> w.VolatileSaid:
    # What would leave a worker for a longer wait stays in it: nobody would go on with it.
    limits = services.limits.model_copy(
        update={"wait_in_worker_ms_max": services.limits.wait_ms_max}
    )
    played = _Played(order, limits, answered)
    run_order = w.RunExecution(
        execution=order.execution,
        token=_TOKEN,
        attempt=order.attempt,
        process=order.process,
        version=order.version,
        environment=order.environment,
        input=order.input,
        submitted_at_ms=order.submitted_at_ms,
        deadline_in_ms=order.deadline_in_ms,
        origin=order.origin,
        cluster_time_ms=order.cluster_time_ms,
    )
    runner = ExecutionRunner(
        run_order, replace(services, calls=played, limits=limits), lambda *_: None
    )
    try:
        await runner.run()
    except asyncio.CancelledError:
        runner.stop()
        raise
    return played.said()
