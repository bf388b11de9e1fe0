"""The node's side of a worker's stream, in memory: commits the words of one execution.

Like the cluster it keeps what must outlive an owner and refuses words of an old token; and it can
let the owner die at any of its messages.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition.built import RunnableProcess
from molecule.model import payload
from molecule.model.document import Document
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.cluster_clock import ClusterClock
from molecule.worker.kernel import Lease
from molecule.worker.packages import Opened, Packages
from molecule.worker.processing import Processing
from molecule.worker.runner import ExecutionRunner, Services
from tests.fakes.target import Target

CONFIRMED = {"sent": "done", "verified_done": "done"}


class OwnerDied(BaseException):
    """The worker was killed."""


class HeldLease(Lease):
    """A lease that needs no kernel; `is_over` ends it."""

    is_over = False

    @property
    def is_held(self) -> bool:
        return not self.is_over


class _TargetClient(Opened):
    """A process whose operations all talk to one fake target."""

    target: Target

    async def client(self, connection: str | None) -> Target:
        del connection
        return self.target


class OnePackage(Packages):
    """Gives one process, whatever is asked for."""

    def __init__(self, process: RunnableProcess, target: Target) -> None:
        super().__init__(Registry(), Limits())
        self._one = _TargetClient(process)
        self._one.target = target

    def open(self, version: str, environment: str) -> Opened:
        del version, environment
        return self._one


@dataclass
class NodeSide:
    """One execution as the cluster has it. Implements `speaker.Calls`."""

    token: int = 0
    sequence: int = 0
    position: bytes = b""
    intents: dict[str, tuple[c.Intent, str]] = field(default_factory=dict)
    """effect key -> intent and resolution"""
    store: dict[str, bytes] = field(default_factory=dict)
    signals: list[w.SignalArrived] = field(default_factory=list)
    ended: c.EndAttempt | None = None
    words: int = 0
    steps: list[str] = field(default_factory=list)
    dead_letters: list[c.DeadLetter] = field(default_factory=list)
    answers: list[w.CallAnswer] = field(default_factory=list)
    """Given instead of doing what is asked, in order."""
    hold: asyncio.Event | None = None
    """While it is not set, nothing is answered."""
    before: Callable[[w.FromWorker], None] = lambda _message: None
    after: Callable[[w.FromWorker], None] = lambda _message: None

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        await asyncio.sleep(0)
        self.before(message)
        if self.hold is not None:
            await self.hold.wait()
        if self.answers:
            return self.answers.pop(0)
        answer = self._do(message)
        answer.done = True
        self.after(message)
        return answer

    def _do(self, message: w.FromWorker) -> w.CallAnswer:
        match message.WhichOneof("kind"):
            case "document_put":
                return w.CallAnswer(reference=self.keep(message.document_put.content))
            case "document_get":
                return w.CallAnswer(content=self.store[message.document_get.reference.digest])
            case "word":
                self.words += 1
                return w.CallAnswer(outcomes=[self._apply(one) for one in message.word.commands])
            case kind:
                raise AssertionError(kind)

    def keep(self, content: bytes) -> c.DocumentRef:
        digest = hashlib.sha256(content).hexdigest()
        self.store[digest] = content
        return c.DocumentRef(digest=digest, size_bytes=len(content))

    def _apply(self, command: c.Command) -> w.WordOutcome:
        said = getattr(command, str(command.WhichOneof("kind")))
        if said.token != self.token or self.ended is not None:
            return w.WordOutcome(code="stale_token")
        match command.WhichOneof("kind"):
            case "record_checkpoint":
                self._checkpoint(said)
            case "record_intents":
                for intent in said.intents:
                    known = self.intents.get(intent.effect_key)
                    assert known is None or known[1] == "not_done", "begun although in doubt"
                    self.intents[intent.effect_key] = (intent, "")
            case "confirm_effects":
                for one in said.confirmations:
                    intent, _ = self.intents[one.effect_key]
                    self.intents[one.effect_key] = (intent, CONFIRMED.get(one.how, "not_done"))
            case "end_attempt":
                if said.state == "IN_DOUBT" and all(how for _, how in self.intents.values()):
                    return w.WordOutcome(code="nothing_in_doubt")
                self._end(said)
        return w.WordOutcome(applied=True)

    def _checkpoint(self, said: c.RecordCheckpoint) -> None:
        assert said.sequence == self.sequence + 1
        self.sequence = said.sequence
        inline = said.position.WhichOneof("body") == "inline"
        self.position = said.position.inline if inline else self.store[said.position.stored.digest]
        assert all(reference.digest in self.store for reference in said.position.refers_to)
        self.intents = {key: known for key, known in self.intents.items() if not known[1]}
        self.signals = [one for one in self.signals if one.id not in said.consumed]
        self.steps += [step.step for step in said.steps]
        self.dead_letters += said.dead_letters

    def _end(self, said: c.EndAttempt) -> None:
        assert said.state != "COMPLETED" or all(how for _, how in self.intents.values())
        self.ended = said
        self.steps += [step.step for step in said.steps]
        self.dead_letters += said.dead_letters

    def results(self) -> tuple[Document, ...]:
        """Documents of the end."""
        assert self.ended is not None
        body = self.ended.result
        stored = body.WhichOneof("body") == "stored"
        content = self.store[body.stored.digest] if stored else body.inline
        return payload.decode_documents(content) if content else ()


class Owners:
    """Workers one after the other, each with its own token, until the execution is at an end."""

    def __init__(
        self,
        process: RunnableProcess,
        given: tuple[Document, ...],
        node: NodeSide,
        *,
        target: Target | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.node = node
        self.target = target or Target()
        self.input = payload.encode_documents(given)
        self.limits = limits or Limits()
        self.packages = OnePackage(process, self.target)
        self.lease = HeldLease()
        self.attempts = 0
        self.told_steps: list[str] = []
        self.attempt_number = 1
        self.is_careful = False
        self.origin = ""
        """The execution that this one tries again."""
        self.now_ms = 1_700_000_000_000

    async def run(self, *, attempts_max: int = 50) -> c.EndAttempt:
        """Until COMPLETED, FAILED or IN_DOUBT."""
        while self.attempts < attempts_max:
            await self.attempt()
            ended = self.node.ended
            if ended is not None and ended.state != "WAITING":
                return ended
        raise AssertionError(f"not at an end after {attempts_max} attempts")

    async def attempt(self) -> None:
        """One owner, to its end or death."""
        self.attempts += 1
        self.node.token += 1
        self.node.ended = None
        processing = Processing()
        services = Services(
            self.node,
            self.lease,
            ClusterClock(),
            self.packages,
            processing,
            self.limits,
            settle_ms=10,
        )
        runner = ExecutionRunner(self.order(), services, self._tell_step)
        self._running = runner, asyncio.ensure_future(runner.run())
        try:
            await self._running[1]
        except OwnerDied:
            pass
        finally:
            self._running[1].cancel()
            processing.close()

    def hand_back(self, *, at_once: bool) -> None:
        """Ask the owner that runs now to give the execution back, as the worker's host does."""
        runner, task = self._running
        runner.hand_back(at_once=at_once)
        if at_once:
            task.cancel()

    def stop(self) -> None:
        """Take the token of the owner that runs now, whose task goes on for a moment."""
        self._running[0].stop()

    def _tell_step(self, execution: str, token: int, step: str) -> None:
        del execution, token
        self.told_steps.append(step)

    def order(self) -> w.RunExecution:
        """What the node would deliver now."""
        node = self.node
        return w.RunExecution(
            execution="e1",
            origin=self.origin,
            token=node.token,
            attempt=self.attempt_number,
            careful=self.is_careful,
            version="v1",
            environment="test",
            input=self.input,
            position=node.position,
            sequence=node.sequence,
            open_intents=[
                w.OpenIntent(intent=intent, resolution=how) for intent, how in node.intents.values()
            ],
            submitted_at_ms=1_700_000_000_000,
            cluster_time_ms=self.now_ms,
            signals=node.signals,
        )
