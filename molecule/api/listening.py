"""`/in/ENVIRONMENT/PATH`: requests to listeners become submissions, results become answers.

The gateway decides nothing: who may call, and which version it is, is the node process's word.
What must stay true: no text of an execution's failure goes to a caller of a listener.
"""

from typing import Any, Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from molecule.api import bodies, incoming, submissions
from molecule.api.attached import attached
from molecule.api.problems import Problem
from molecule.api.routes import Route, Routes
from molecule.api.submissions import Answered, Target
from molecule.api.surface import Surface, asker, json_answer
from molecule.model.errors import DeadlineExceeded, NotFound
from molecule.model.execution import ACTIVE, ExecutionState
from molecule.wire.v1.door_pb2 import Submission, SubmitResult

PREFIX: Final = "/in/"
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_KEY_HEADER: Final = "idempotency-key"
_EXECUTION_HEADER: Final = "molecule-execution"


def router(surface: Surface) -> APIRouter:
    """The one route of all listeners; not in the OpenAPI document, for it is the users'."""
    routes = APIRouter()
    known = Routes(surface.door, surface.limits, surface.patience)

    @routes.api_route(PREFIX + "{below:path}", methods=_METHODS, include_in_schema=False)
    async def take(request: Request) -> Response:
        parts = incoming.parts_of(request, PREFIX)
        route, parameters = await known.find(request.method, parts)
        try:
            return await _taken(request, surface, route, parameters)
        except NotFound:
            # The process was changed since the gateway asked; whose rules hold now is not known.
            known.forget()
            raise NotFound("nothing listens at this path") from None

    return routes


async def _taken(
    request: Request, surface: Surface, route: Route, parameters: dict[str, str]
) -> Response:
    limits = surface.limits
    key = submissions.key_from(request.headers.get(_KEY_HEADER), limits=limits)
    told = incoming.declared(request)
    allowed = min(route.body_bytes_max, limits.submission_body_bytes_max)
    body = await bodies.receive(request, limits=limits, limit="max_body", allowed=allowed)
    content, digest = incoming.submission_input(
        request, name=route.process, path=parameters, body=body, told=told
    )
    work = submissions.submit(
        surface.door,
        Target(route.process, route.environment, "", listener=f"{route.method} {route.path}"),
        [Submission(idempotency_key=key, input=content, content=digest)],
        asker=asker(request),
        wait_ms=min(route.timeout_ms, limits.wait_ms_max) if route.reply == "result" else 0,
        patience=surface.patience,
        limits=limits,
        as_refused=True,
    )
    (answer,) = await attached(request, work)
    return _answered(answer, route, request)


def _answered(answer: Answered, route: Route, request: Request) -> Response:
    name = asker(request).request
    if answer.problem is not None or answer.result is None:
        problem = answer.problem
        if problem is not None and problem.status == NotFound.http:
            raise NotFound(problem.detail)
        return _told(problem, request=name)
    result = answer.result
    headers = {
        _KEY_HEADER: result.idempotency_key or answer.idempotency_key,
        _EXECUTION_HEADER: result.execution,
    }
    if route.reply == "accepted":
        shaped = {"execution": result.execution, "idempotency_key": headers[_KEY_HEADER]}
        return json_answer(shaped, status=202, headers=headers)
    if result.HasField("answer"):
        return _sent(result, headers)
    if result.state == ExecutionState.COMPLETED:
        return json_answer(_values(result), headers=headers)
    response = _told(_problem(result), request=name)
    response.headers.update(headers)
    return response


def _sent(result: SubmitResult, headers: dict[str, str]) -> Response:
    """What the step `respond` said, whatever became of the execution afterwards."""
    answer = result.answer
    response = Response(answer.body, status_code=answer.status)
    for header in answer.headers:
        response.headers[header.name] = header.value
    response.headers.update(headers)
    return response


def _told(problem: Problem | None, *, request: str) -> Response:
    if problem is None:
        problem = Problem("internal", 500, "the gateway has no answer", False, False)
    return problem.response(request=request)


def _values(result: SubmitResult) -> list[Any]:
    return [document["value"] for document in orjson.loads(result.result or b"[]")]


def _problem(result: SubmitResult) -> Problem:
    """Of an execution that gave no result: its id and its code, never its texts."""
    facts: dict[str, object] = {"execution": result.execution}
    if result.error_code:
        facts["error_code"] = result.error_code
    if result.state in ACTIVE:
        message = "the execution was accepted and has not ended in time; it goes on"
        return Problem("not_ended_in_time", 504, message, True, False, facts)
    if result.volatile and result.error_code == DeadlineExceeded.code:
        message = "the execution had not ended in time; it was volatile, so it was ended"
        return Problem("not_ended_in_time", 504, message, True, False, facts)
    if result.state == ExecutionState.FAILED:
        message = "the execution failed"
        return Problem("execution_failed", 502, message, False, True, facts)
    if result.state == ExecutionState.CANCELLED:
        message = "the execution was cancelled"
        return Problem("execution_cancelled", 502, message, False, True, facts)
    message = "the execution is parked: it waits for a person"
    return Problem("execution_parked", 502, message, False, False, facts)
