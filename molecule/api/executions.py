"""`/executions`: submit one or many, search, follow, cancel, resolve, release, fail, retry."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import bodies, hold, queries, submissions
from molecule.api.attached import attached
from molecule.api.documentation import answers, takes
from molecule.api.queries import PAGE, WAIT, Parameter
from molecule.api.requests import (
    BatchBody,
    CancelBody,
    ReleaseBody,
    ResolveBody,
    RetryBody,
    SubmitBody,
)
from molecule.api.shapes import (
    BatchAnswer,
    Execution,
    ExecutionPage,
    ExecutionResult,
    Submitted,
    TimelinePage,
)
from molecule.api.shapes_of_reasons import Why
from molecule.api.submissions import Answered, Target
from molecule.api.surface import Surface, asker, json_answer, nothing_happened
from molecule.config import Limits
from molecule.model.errors import InvalidInput, LimitExceeded, Purged
from molecule.model.execution import ACTIVE
from molecule.wire.v1.door_pb2 import ActRequest, AwaitReply, AwaitRequest, Submission

_KEY_HEADER: Final = "Idempotency-Key"
_FRESH: Final = (queries.FRESH,)
_FILTERS: Final = (
    Parameter("process", "Name of the process."),
    Parameter("state", "One or more states, separated by commas.", "state"),
    Parameter("environment", "Name of the environment."),
    Parameter("key", "The idempotency key of the submission."),
    Parameter("track.", "A business key: the value of the tracked field NAME."),
    Parameter("since", "Accepted at or after: ISO 8601 with zone, or milliseconds.", "instant"),
    Parameter("until", "Accepted before this instant.", "instant"),
    *PAGE,
)
ExecutionName = Annotated[
    str, Path(min_length=1, max_length=128, description="Id of the execution.")
]


def router(surface: Surface) -> APIRouter:
    """All routes of executions."""
    routes = APIRouter(tags=["executions"])
    _add_submissions(routes, surface)
    _add_reads(routes, surface)
    _add_actions(routes, surface)
    _add_second_chances(routes, surface)
    return routes


def _add_submissions(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.post(
        "/executions",
        **answers(Submitted, status=202, also={200: Submitted}),
        openapi_extra=takes(SubmitBody, queries.documented((WAIT,), _KEY_HEADER)),
    )
    async def submit(request: Request) -> Response:
        """Submit one execution. 202: accepted; with `wait`, 200 once it has ended or is parked."""
        asked = queries.accept(request, (WAIT,), limits=limits)
        key = submissions.key_from(request.headers.get(_KEY_HEADER), limits=limits)
        body = await bodies.read(
            request, SubmitBody, limits=limits, limit="submission_body_bytes_max"
        )
        item = submissions.submission(
            body.values, key=key, priority=body.priority, limits=limits, expires=body.expires
        )
        target = Target(body.process, body.environment, body.version or "")
        (answer,) = await _submitted(request, surface, target, [item], asked)
        return _single(answer, request)

    @routes.post(
        "/executions:batch",
        **answers(BatchAnswer, also={207: BatchAnswer}),
        openapi_extra=takes(BatchBody, queries.documented((WAIT,), _KEY_HEADER)),
    )
    async def submit_batch(request: Request) -> Response:
        """Submit many executions of one process, each answered alone; 207 when any was refused."""
        asked = queries.accept(request, (WAIT,), limits=limits)
        body = await bodies.read(
            request, BatchBody, limits=limits, limit="submission_body_bytes_max"
        )
        items = _batch(body, request.headers.get(_KEY_HEADER), limits=limits)
        target = Target(body.process, body.environment, body.version or "")
        answered = await _submitted(request, surface, target, items, asked)
        refused = sum(answer.problem is not None for answer in answered)
        shaped = {
            "accepted": len(answered) - refused,
            "refused": refused,
            "results": [answer.shape() for answer in answered],
        }
        return json_answer(shaped, status=207 if refused else 200, headers={})


def _add_reads(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.get("/executions", **answers(ExecutionPage), openapi_extra=queries.documented(_FILTERS))
    async def find(request: Request) -> Response:
        """Executions, newest first, by process, state, environment, keys and time."""
        query = queries.accept(request, _FILTERS, limits=limits)
        return await surface.read(request, "executions", query=query)

    @routes.get(
        "/executions/{execution}", **answers(Execution), openapi_extra=queries.documented(_FRESH)
    )
    async def show(request: Request, execution: ExecutionName) -> Response:
        """One execution: state, place, attempts, effects in doubt."""
        query = queries.accept(request, _FRESH, limits=limits)
        return await surface.read(request, "execution", name=execution, query=query)

    @routes.get(
        "/executions/{execution}/timeline",
        **answers(TimelinePage),
        openapi_extra=queries.documented(PAGE),
    )
    async def timeline(request: Request, execution: ExecutionName) -> Response:
        """What happened to one execution, oldest first, also what was refused."""
        query = queries.accept(request, PAGE, limits=limits)
        return await surface.read(request, "timeline", name=execution, query=query)

    @routes.get(
        "/executions/{execution}/why", **answers(Why), openapi_extra=queries.documented(_FRESH)
    )
    async def why(request: Request, execution: ExecutionName) -> Response:
        """Why it is where it is: answers, each with the log index of the decision behind it."""
        query = queries.accept(request, _FRESH, limits=limits)
        return await surface.read(request, "why", name=execution, query=query)

    @routes.get(
        "/executions/{execution}/result",
        **answers(ExecutionResult, also={202: ExecutionResult}),
        openapi_extra=queries.documented((WAIT,)),
    )
    async def result(request: Request, execution: ExecutionName) -> Response:
        """What an execution ended with; 202 while it is active. `wait` waits for its end."""
        query = queries.accept(request, (WAIT,), limits=limits)
        reply = await _wait_for(request, surface, execution, wait_ms=queries.wait_ms(query))
        (ended,) = reply.results
        if ended.error_code == Purged.code:
            raise Purged(f"the documents of {execution} were purged", execution=execution)
        status = 202 if ended.state in ACTIVE else 200
        shaped = submissions.shape(ended)
        shaped.pop("repeated_key")
        return json_answer(shaped, status=status, headers={})


def _add_actions(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.post(
        "/executions/{execution}/cancel", **answers(Execution), openapi_extra=takes(CancelBody)
    )
    async def cancel(request: Request, execution: ExecutionName) -> Response:
        """Cancel an execution that has not ended."""
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, CancelBody, limits=limits, limit="http_small_body_bytes_max"
        )
        fields = {"reason": body.reason}
        asked = ActRequest(action="cancel", id=execution, json=orjson.dumps(fields))
        return await surface.act(request, asked, repeat_unknown=False)

    @routes.post(
        "/executions/{execution}/resolve", **answers(Execution), openapi_extra=takes(ResolveBody)
    )
    async def resolve(request: Request, execution: ExecutionName) -> Response:
        """Answer for the effects in doubt: `done`, `not_done`, `fail`, or `ask` `verify` again."""
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, ResolveBody, limits=limits, limit="http_small_body_bytes_max"
        )
        given = len(body.answers or ())
        if given > limits.answers_per_resolution_max:
            raise LimitExceeded(
                limit="answers_per_resolution_max",
                allowed=limits.answers_per_resolution_max,
                asked=given,
            )
        fields = body.model_dump(exclude_none=True)
        asked = ActRequest(action="resolve", id=execution, json=orjson.dumps(fields))
        return await surface.act(request, asked, repeat_unknown=False)


def _add_second_chances(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    async def act(request: Request, action: str, execution: str) -> Response:
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, ReleaseBody, limits=limits, limit="http_small_body_bytes_max"
        )
        fields = {"reason": body.reason}
        asked = ActRequest(action=action, id=execution, json=orjson.dumps(fields))
        return await surface.act(request, asked, repeat_unknown=False)

    @routes.post(
        "/executions/{execution}/release", **answers(Execution), openapi_extra=takes(ReleaseBody)
    )
    async def release(request: Request, execution: ExecutionName) -> Response:
        """Let a quarantined or held execution go on where it stopped, its crashes forgiven."""
        return await act(request, "release", execution)

    @routes.post(
        "/executions/{execution}/fail", **answers(Execution), openapi_extra=takes(ReleaseBody)
    )
    async def fail(request: Request, execution: ExecutionName) -> Response:
        """Give up a parked execution: it ends FAILED."""
        return await act(request, "fail", execution)

    @routes.post(
        "/executions/{execution}/retry",
        **answers(Submitted, status=202, also={200: Submitted}),
        openapi_extra=takes(RetryBody, queries.documented((WAIT,), _KEY_HEADER)),
    )
    async def retry(request: Request, execution: ExecutionName) -> Response:
        """Submit the input of an execution that has ended again, as a new one that names it."""
        asked = queries.accept(request, (WAIT,), limits=limits)
        key = submissions.key_from(request.headers.get(_KEY_HEADER), limits=limits)
        body = await bodies.read(
            request, RetryBody, limits=limits, limit="http_small_body_bytes_max"
        )
        target = Target("", "", body.version or "", retry_of=execution)
        item = Submission(idempotency_key=key)
        (answer,) = await _submitted(request, surface, target, [item], asked)
        return _single(answer, request)


async def _submitted(
    request: Request,
    surface: Surface,
    target: Target,
    items: Sequence[Submission],
    query: Mapping[str, str],
) -> list[Answered]:
    work = submissions.submit(
        surface.door,
        target,
        items,
        asker=asker(request),
        wait_ms=queries.wait_ms(query),
        patience=surface.patience,
        limits=surface.limits,
    )
    return await attached(request, work)


async def _wait_for(
    request: Request, surface: Surface, execution: str, *, wait_ms: int
) -> AwaitReply:
    within_s = (wait_ms or surface.limits.door_wait_for_leader_ms) / 1000
    slack_s = surface.limits.door_answer_ms / 1000

    async def attempt(left_s: float) -> AwaitReply:
        asked = AwaitRequest(
            credentials=asker(request).credentials(),
            executions=[execution],
            wait_ms=min(wait_ms, int(left_s * 1000)),
        )
        return await surface.door.wait_for(asked, timeout_s=left_s + slack_s)

    asking = hold.ask(attempt, patience=surface.patience, within_s=within_s)
    return await attached(request, nothing_happened(asking))


def _batch(body: BatchBody, header: str | None, *, limits: Limits) -> list[Submission]:
    count = len(body.submissions)
    if count > limits.submissions_per_batch_max:
        raise LimitExceeded(
            limit="submissions_per_batch_max",
            allowed=limits.submissions_per_batch_max,
            asked=count,
        )
    # One key for the whole batch is enough for a caller that sends the same batch again.
    whole = submissions.key_from(header, limits=limits) if header is not None else None
    items: list[Submission] = []
    seen: set[str] = set()
    for position, item in enumerate(body.submissions):
        text = item.idempotency_key
        if text is None and whole is not None:
            text = f"{whole}/{position}"
        key = submissions.key_from(text, limits=limits)
        if key in seen:
            message = f"submissions.{position}: idempotency key {key} is given twice in this batch"
            raise InvalidInput(message, field=f"submissions.{position}.idempotency_key")
        seen.add(key)
        items.append(
            submissions.submission(
                item.values, key=key, priority=body.priority, limits=limits, expires=item.expires
            )
        )
    return items


def _single(answer: Answered, request: Request) -> Response:
    if answer.problem is not None:
        return answer.problem.response(request=asker(request).request)
    shaped: dict[str, Any] = answer.shape()
    headers = {"idempotency-key": answer.idempotency_key}
    if "durability" not in shaped:
        # Of a volatile one there is mostly nothing to be found later.
        headers["location"] = f"/api/v1/executions/{shaped['execution']}"
    return json_answer(shaped, status=200 if answer.has_ended else 202, headers=headers)
