"""Submissions: keys made before the first hop, asked again by key until the caller's deadline.

One function serves the single submission and the batch. What must stay true: a submission is never
sent under another key than the one its caller is told.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from molecule.api.door import Asker, DoorClient
from molecule.api.hold import Patience, ask, may_pass, passing_codes
from molecule.api.problems import Problem, problem_of, problem_of_refusal
from molecule.config import Limits
from molecule.definition import durations
from molecule.model import instants, payload
from molecule.model.document import Document
from molecule.model.errors import (
    InvalidInput,
    LimitExceeded,
    MoleculeError,
    OutcomeUnknown,
)
from molecule.model.execution import ACTIVE
from molecule.model.ids import DocumentId
from molecule.model.keys import make_key
from molecule.wire.v1.door_pb2 import Submission, SubmitRequest, SubmitResult

_PASSING: Final = passing_codes()
_UNKNOWN: Final = "not answered in time; ask again with the same idempotency key"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be executed: process, environment, version; empty texts mean the obvious one."""

    process: str
    environment: str
    version: str
    retry_of: str = ""
    """An execution that has ended: the process, the environment and the input are its own."""
    listener: str = ""
    """The listener that the submission came to, whose rules hold: `POST /orders/{order}`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one submission: `result` when it was accepted, else `problem`."""

    idempotency_key: str
    result: SubmitResult | None = None
    problem: Problem | None = None
    is_volatile: bool = False
    """Nothing of it is kept: what it was refused with is all there is to know."""

    @property
    def has_ended(self) -> bool:
        """True when the execution needs no more waiting: it is terminal or parked."""
        return self.result is not None and self.result.state not in ACTIVE

    def shape(self) -> dict[str, Any]:
        """The answer's JSON."""
        if self.problem is not None:
            return {
                "idempotency_key": self.idempotency_key,
                "problem": self.problem.document(),
            }
        shaped = {"idempotency_key": self.idempotency_key}
        return shaped | (shape(self.result) if self.result is not None else {})


def shape(result: SubmitResult) -> dict[str, Any]:
    """An accepted execution as JSON; its documents are passed on as the bytes they came in."""
    shaped: dict[str, Any] = {
        "execution": result.execution,
        "state": result.state,
        "repeated_key": result.repeated_key,
    }
    if result.volatile:
        shaped["durability"] = "volatile"
    if result.result:
        shaped["documents"] = orjson.Fragment(result.result)
    if result.error_code or result.error:
        shaped["error"] = {"code": result.error_code, "message": result.error}
    return shaped


def key_from(text: str | None, *, limits: Limits) -> str:
    """The caller's idempotency key without quotes around it, or a new one that holds its time."""
    if text is None:
        return make_key(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    key = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
    if len(key) > limits.idempotency_key_length_max:
        raise LimitExceeded(
            limit="idempotency_key_length_max",
            allowed=limits.idempotency_key_length_max,
            asked=len(key),
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        message = "an idempotency key is 1 or more visible ASCII characters without spaces"
        raise InvalidInput(message, field="Idempotency-Key")
    return key


def submission(
    values: Sequence[Any], *, key: str, limits: Limits, priority: int = 0, expires: str = ""
) -> Submission:
    """One submission, its documents encoded as the cluster keeps them."""
    if len(values) > limits.documents_per_submission_max:
        raise LimitExceeded(
            limit="documents_per_submission_max",
            allowed=limits.documents_per_submission_max,
            asked=len(values),
        )
    documents = [
        Document(DocumentId(str(position)), value) for position, value in enumerate(values)
    ]
    made = Submission(
        idempotency_key=key, input=payload.encode_documents(documents), priority=priority
    )
    if expires:
        span_ms, until_ms = durations.milliseconds(expires), instants.milliseconds(expires)
        if not span_ms and not until_ms:
            message = f"expires: {expires!r} is neither a duration like 10m nor an instant"
            raise InvalidInput(f"{message} like 2026-01-31T12:00:00Z", field="expires")
        made.expires_in_ms, made.expires_at_ms = span_ms or 0, until_ms or 0
    return made


async def submit(
    door: DoorClient,
    target: Target,
    submissions: Sequence[Submission],
    *,
    asker: Asker,
    wait_ms: int,
    patience: Patience,
    limits: Limits,
    as_refused: bool = False,
) -> list[Answered]:
    """The answer to each submission, in order, before the caller's deadline.

    The deadline is the caller's wait, or `door_wait_for_leader_ms` for one that only wants to be
    accepted. Refusals that may pass are asked again until then, alone, with their keys; at the end
    they are told like silence or, `as_refused`, as they are when it is certain that none is kept.
    """
    answers: dict[str, Answered] = {}
    within_ms = wait_ms or limits.door_wait_for_leader_ms
    was_unknown = False

    async def attempt(left_s: float) -> bool:
        """True when no answer is left that may pass."""
        nonlocal was_unknown
        open_ones = [
            item
            for item in submissions
            if (known := answers.get(item.idempotency_key)) is None or _may_pass(known)
        ]
        request = SubmitRequest(
            credentials=asker.credentials(),
            environment=target.environment,
            process=target.process,
            version=target.version,
            retry_of=target.retry_of,
            listener=target.listener,
            submissions=open_ones,
            wait_ms=min(wait_ms, int(left_s * 1000)),
        )
        try:
            reply = await door.submit(request, timeout_s=left_s + limits.door_answer_ms / 1000)
        except MoleculeError as error:
            was_unknown = was_unknown or not error.definite
            raise
        _note(answers, open_ones, reply.results)
        return not any(_may_pass(answer) for answer in answers.values())

    try:
        await ask(attempt, patience=patience, within_s=within_ms / 1000, is_settled=bool)
    except MoleculeError as error:
        passes = may_pass(type(error), repeat_unknown=True)
        if was_unknown and error.definite:
            error = _no_longer_definite(error)
        if not passes and not any(answer.result for answer in answers.values()):
            raise _with_key(error, submissions) from None
        for item in submissions:
            answers.setdefault(item.idempotency_key, _left_open(item, error))
    told = [answers[item.idempotency_key] for item in submissions]
    return told if as_refused and not was_unknown else [_settled(answer) for answer in told]


def _note(
    answers: dict[str, Answered], asked: Sequence[Submission], results: Sequence[SubmitResult]
) -> None:
    if len(results) != len(asked):
        message = f"the node process answered {len(results)} of {len(asked)} submissions"
        raise OutcomeUnknown(message)
    for item, result in zip(asked, results, strict=True):
        key = item.idempotency_key
        if result.refused_code:
            problem = problem_of_refusal(result, idempotency_key=key)
            answers[key] = Answered(key, problem=problem, is_volatile=result.volatile)
        else:
            answers[key] = Answered(key, result=result)


def _may_pass(answer: Answered) -> bool:
    problem = answer.problem
    return problem is not None and problem.code in _PASSING


def _left_open(item: Submission, error: MoleculeError) -> Answered:
    return Answered(item.idempotency_key, problem=problem_of(error))


def _settled(answer: Answered) -> Answered:
    """At the deadline a refusal that might have passed is told like silence: ask again by key.

    Not that of a volatile one: there is nothing to find by its key.
    """
    if not _may_pass(answer) or answer.problem is None or answer.is_volatile:
        return answer
    last = answer.problem
    error = OutcomeUnknown(
        f"{_UNKNOWN} ({last.detail})",
        idempotency_key=answer.idempotency_key,
        last_code=last.code,
        last_reason=last.detail,
    )
    return Answered(answer.idempotency_key, problem=problem_of(error))


def _no_longer_definite(error: MoleculeError) -> MoleculeError:
    """It is true of the last call only: an earlier one may have been carried out."""
    return OutcomeUnknown(
        f"{_UNKNOWN} ({error.message})", last_code=error.code, last_reason=error.message
    )


def _with_key(error: MoleculeError, submissions: Sequence[Submission]) -> MoleculeError:
    if len(submissions) == 1:
        error.facts = {**error.facts, "idempotency_key": submissions[0].idempotency_key}
    return error
