"""The one door by which executions enter: every surface and every trigger comes here.

Checks and stamps each submission, then proposes many in one entry. A caller gets an id only after
the entry is committed; one whose outcome is unknown is told so, with the key to ask again.
"""

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster.outcome import Applied, Outcome
from molecule.cluster.state import ClusterState, Deployment, Version
from molecule.config import Limits
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    MoleculeError,
    NotFound,
    Unavailable,
)
from molecule.model.ids import NodeId, ProcessName, VersionId
from molecule.node import listeners, refusals, wire
from molecule.node.clock import wall_ms
from molecule.node.forwarder import Forwarder
from molecule.node.payloads import Payloads
from molecule.scheduler import hint
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import worker_pb2 as w

AskWorker = Callable[[w.WorkerRequest], Awaitable[w.WorkerReply]]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGITS = 20
_STAMPED_AT_ONCE = 100
"""Submissions of one call that are made into commands before the loop turns."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one submission."""

    execution: str = ""
    repeated_key: bool = False
    idempotency_key: str = ""
    """When the process gave it another one than its caller."""
    refusal: MoleculeError | None = None


def new_execution_id(now_ms: int) -> str:
    """Sorts by the time of submission; 50 random bits make it unique."""
    number = (now_ms << 50) | secrets.randbits(50)
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "e" + "".join(reversed(digits))


def deployed(state: ClusterState, process: ProcessName, environment: str) -> Deployment:
    """The deployment that is meant; an empty `environment` means the only one there is."""
    if not environment:
        places = [name for name, process_name in state.deployments if process_name == process]
        if len(places) > 1:
            raise Conflict(
                f"process {process} is deployed in {', '.join(sorted(places))}: "
                "name the environment"
            )
        environment = places[0] if places else ""
    found = state.deployments.get((environment, process))
    if found is None:
        where = f" in environment {environment}" if environment else ""
        raise NotFound(
            f"no process {process} is deployed{where}: apply it first (one with trigger `called` "
            "is a part of those that call it: submit one of them)"
        )
    return found


def submitted_at_ms(execution: str) -> int | None:
    """When an id was made, by the clock of its node; None when `new_execution_id` did not."""
    digits = execution.removeprefix("e")
    if len(execution) != _DIGITS + 1 or len(digits) != _DIGITS or set(digits) - set(_ALPHABET):
        return None
    number = 0
    for digit in digits:
        number = number * 32 + _ALPHABET.index(digit)
    return number >> 50


def body_digest(environment: str, process: str, content: bytes) -> str:
    """Names what was asked for: the same key with another digest is a conflict.

    The version is no part of it: asked again after a deployment, a submission is still the same.
    """
    head = f"{environment}\0{process}\0\0".encode()
    return hashlib.sha256(head + content).hexdigest()


class SubmitDoor:
    """Used by the gateway's door and by the triggers of this node."""

    def __init__(
        self,
        *,
        node: str,
        state: Callable[[], ClusterState],
        forwarder: Forwarder,
        payloads: Payloads,
        ask_worker: AskWorker,
        limits: Limits,
        room: Callable[..., None] = lambda **_: None,
    ) -> None:
        self._room = room
        self._node = NodeId(node)
        self._state = state
        self._forwarder = forwarder
        self._payloads = payloads
        self._ask_worker = ask_worker
        self._limits = limits

    async def submit(
        self, actor: Actor, request: d.SubmitRequest, *, within_s: float
    ) -> tuple[list[Accepted], int]:
        """Accept or refuse each submission, in order.

        Also gives the log index from which on they are known. Raises what refuses all of them.
        """
        policy.check(actor, Action.SUBMIT)
        self.check_sizes(request.submissions)
        self._check_room(actor, request.submissions)
        deployment, version = self.deployment(request)
        stamps = await self._stamps(request, deployment, version)
        commands: list[c.Command | None] = []
        reserved: Counter[NodeId] = Counter()
        answers: list[Accepted] = []
        own_keys: dict[int, str] = {}
        for place, (submission, stamp) in enumerate(zip(request.submissions, stamps, strict=True)):
            if stamp.code:
                commands.append(None)
                answers.append(Accepted(refusal=InvalidInput(stamp.message)))
                continue
            if stamp.idempotency_key:
                own_keys[place] = listeners.own_key(
                    deployment.environment, version.process, stamp.idempotency_key
                )
            asked = await self._command(actor, submission, stamp, deployment, version)
            asked.idempotency_key = own_keys.get(place, asked.idempotency_key)
            chosen = hint.choose(self._state(), asked, reserved=reserved, near=self._node)
            if chosen is not None:
                asked.hint.CopyFrom(chosen)
                reserved[NodeId(chosen.node)] += 1
            commands.append(c.Command(version=1, submit_execution=asked))
            answers.append(Accepted())
            if place % _STAMPED_AT_ONCE == _STAMPED_AT_ONCE - 1:
                await asyncio.sleep(0)
        said = [command for command in commands if command is not None]
        if not said:
            return answers, 0
        index, told = await self._committed(said, within_s=within_s)
        ends = iter(told)
        for place, command in enumerate(commands):
            if command is not None:
                own = own_keys.get(place, "")
                end = next(ends)
                answers[place] = replace(end, idempotency_key=own) if own else end
        return answers, index

    async def _committed(
        self, said: Sequence[c.Command], *, within_s: float
    ) -> tuple[int, list[Accepted]]:
        """Commit them in order, in entries that none of the voters needs long to apply.

        Raises when the first entry fails; of a later one that fails each submission is told so.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        index = 0
        told: list[Accepted] = []
        size = self._limits.entry_commands_gathered_max
        for start in range(0, len(said), size):
            part = said[start : start + size]
            try:
                result = await self._forwarder.insist(part, within_s=end_s - loop.time())
            except MoleculeError as error:
                if not told:
                    raise
                told.extend(Accepted(refusal=error) for _ in said[start:])
                break
            index = result.index
            told.extend(
                accepted(command.submit_execution, outcome)
                for command, outcome in zip(part, result.outcomes, strict=True)
            )
        return index, told

    def check_sizes(self, submissions: Sequence[d.Submission]) -> None:
        """Refuse what is over a limit, whatever comes of it."""
        limits = self._limits
        if not submissions:
            raise InvalidInput("there is nothing to submit")
        if len(submissions) > limits.submissions_per_batch_max:
            raise LimitExceeded(
                limit="submissions_per_batch_max",
                allowed=limits.submissions_per_batch_max,
                asked=len(submissions),
            )
        for submission in submissions:
            key = submission.idempotency_key
            if not key:
                raise InvalidInput("a submission needs an idempotency key")
            if len(key) > limits.idempotency_key_length_max:
                raise LimitExceeded(
                    limit="idempotency_key_length_max",
                    allowed=limits.idempotency_key_length_max,
                    asked=len(key),
                )
            if len(submission.input) > limits.submission_body_bytes_max:
                raise LimitExceeded(
                    limit="submission_body_bytes_max",
                    allowed=limits.submission_body_bytes_max,
                    asked=len(submission.input),
                )

    def _check_room(self, actor: Actor, submissions: Sequence[d.Submission]) -> None:
        """Refuse at a full disk before anything is written; the worst of them counts for all."""
        inline_max = self._limits.payload_inline_bytes_max
        brings = any(len(submission.input) > inline_max for submission in submissions)
        self._room(brings_documents=brings, door=actor.kind.value)

    def deployment(self, request: d.SubmitRequest) -> tuple[Deployment, Version]:
        """Where it is to run and what; `NotFound` when there is no such process or version."""
        state = self._state()
        process = ProcessName(request.process)
        deployment = deployed(state, process, request.environment)
        version_id = VersionId(request.version) if request.version else deployment.version
        version = state.versions.get((process, version_id))
        if version is None:
            raise NotFound(f"process {process} has no version {version_id}")
        return deployment, version

    async def _stamps(
        self, request: d.SubmitRequest, deployment: Deployment, version: Version
    ) -> Sequence[w.DoorStamp]:
        """Concurrency keys and business keys, evaluated by a worker: never in this loop."""
        listener = listeners.of(self._state(), request)
        is_checked = listener is not None and listener.checked
        if not version.keyed and not version.tracked and not is_checked:
            return [w.DoorStamp() for _ in request.submissions]
        door = w.EvaluateDoor(
            version=version.id,
            process=version.process,
            environment=deployment.environment,
            inputs=[submission.input for submission in request.submissions],
        )
        reply = await self._ask_worker(w.WorkerRequest(door=door))
        if reply.code in (NotFound.code, Unavailable.code):
            raise Unavailable(f"the process cannot be read here now: {reply.message}")
        if reply.code:
            raise InvalidInput(reply.message)
        return reply.stamps

    async def _command(
        self,
        actor: Actor,
        submission: d.Submission,
        stamp: w.DoorStamp,
        deployment: Deployment,
        version: Version,
    ) -> c.SubmitExecution:
        return c.SubmitExecution(
            execution=new_execution_id(wall_ms()),
            idempotency_key=submission.idempotency_key,
            body_digest=body_digest(
                deployment.environment,
                version.process,
                submission.content.encode() or submission.input,
            ),
            environment=deployment.environment,
            process=version.process,
            version=version.id,
            input=await self._payloads.payload(submission.input),
            concurrency_key=stamp.concurrency_key,
            track=stamp.track,
            actor=wire.actor_to_wire(actor),
            priority=submission.priority or version.priority,
            origin=submission.origin,
            expires_in_ms=submission.expires_in_ms,
            expires_at_ms=submission.expires_at_ms,
        )


def accepted(command: c.SubmitExecution, outcome: Outcome) -> Accepted:
    """The answer to one submission from the outcome of its command."""
    if isinstance(outcome, Applied):
        first = str(outcome.facts.get("execution", command.execution))
        # A command that was said twice meets itself: only another execution's id is another answer.
        return Accepted(first, repeated_key=first != command.execution)
    refusal = refusals.error_of(
        outcome,
        otherwise=Unavailable,
        key=command.idempotency_key,
        execution=command.execution,
        process=command.process,
        environment=command.environment,
    )
    return Accepted(refusal=refusal)
