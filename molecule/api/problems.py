"""Errors as RFC 9457 problem documents: everything in them comes from the error tree.

Also the few errors that only HTTP knows, as leaves of the same tree. What is not in the tree
becomes `internal` without its text; its traceback goes to the gateway's log under the request's id.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
import structlog
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from molecule.model.errors import Denied, InvalidInput, MoleculeError, NotFound, Unauthenticated
from molecule.wire.v1.door_pb2 import SubmitResult

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = frozenset({429, 503, 507})
_BODY_LEFT_UNREAD = frozenset({408, 413})


class InvalidJson(InvalidInput):
    """The body is not JSON; `line` and `column` (from 1) say where it stops being JSON."""

    code = "invalid_json"


class UnsupportedMediaType(InvalidInput):
    """The body is declared to be something else than JSON."""

    code = "unsupported_media_type"
    http = 415


class MethodNotAllowed(InvalidInput):
    """The address exists, but not for this method."""

    code = "method_not_allowed"
    http = 405


class BodyTooSlow(InvalidInput):
    """The body did not arrive in time; nothing was accepted."""

    code = "body_too_slow"
    http = 408
    retryable = True


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document, before it is bytes."""

    code: str
    status: int
    detail: str
    retryable: bool
    definite: bool
    facts: Mapping[str, object] = field(default_factory=dict)

    def document(self, *, request: str = "") -> dict[str, object]:
        """The members in their order; facts come last and never hide a member."""
        members: dict[str, object] = {
            "type": f"urn:molecule:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
            "definite": self.definite,
        }
        if request:
            members["request"] = request
        told = {name: fact for name, fact in self.facts.items() if name not in members}
        return members | told

    def headers(self) -> dict[str, str]:
        """Headers that go with the status."""
        headers: dict[str, str] = {}
        if self.status in _RETRY_AFTER:
            after_ms = self.facts.get("retry_after_ms")
            seconds = math.ceil(after_ms / 1000) if isinstance(after_ms, int | float) else 1
            headers["retry-after"] = str(max(1, seconds))
        if self.status in _BODY_LEFT_UNREAD:
            headers["connection"] = "close"
        if self.status == Unauthenticated.http:
            headers["www-authenticate"] = 'Bearer realm="molecule"'
        key = self.facts.get("idempotency_key")
        if isinstance(key, str):
            headers["idempotency-key"] = key
        return headers

    def response(self, *, request: str = "") -> Response:
        """The answer to a caller."""
        return Response(
            orjson.dumps(self.document(request=request), default=str),
            status_code=self.status,
            headers=self.headers(),
            media_type=MEDIA_TYPE,
        )


def problem_of(error: MoleculeError) -> Problem:
    """The problem that an error of the tree is."""
    return Problem(
        code=error.code,
        status=error.http,
        detail=error.message,
        retryable=error.retryable,
        definite=error.definite,
        facts=error.facts,
    )


def problem_of_refusal(result: SubmitResult, *, idempotency_key: str) -> Problem:
    """The problem of one refused submission, as the node process described it."""
    return Problem(
        code=result.refused_code,
        status=result.refused_http,
        detail=result.refused_message,
        retryable=result.refused_retryable,
        definite=result.refused_definite,
        facts={"idempotency_key": idempotency_key},
    )


def problem_of_http(error: HTTPException, request: Request) -> Problem:
    """Refusals that the routing makes before any of our code runs."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not possible at {request.url.path}; use {allowed}"
        return problem_of(MethodNotAllowed(message, allowed=allowed))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_of(
            NotFound(f"nothing is served at {request.url.path}; see /api/openapi.json")
        )
    family = Denied if error.status_code == HTTPStatus.FORBIDDEN else InvalidInput
    return problem_of(family(str(error.detail)))


async def answer_known(request: Request, error: Exception) -> Response:
    """Handler of every error of the tree."""
    if not isinstance(error, MoleculeError):
        return await answer_unknown(request, error)
    return problem_of(error).response(request=request_id(request))


async def answer_http(request: Request, error: Exception) -> Response:
    """Handler of what the routing refuses."""
    if not isinstance(error, HTTPException):
        return await answer_unknown(request, error)
    return problem_of_http(error, request).response(request=request_id(request))


async def answer_unknown(request: Request, error: Exception) -> Response:
    """Handler of everything else, a fault of ours: told to the log, never to the caller."""
    name = request_id(request)
    log.error(
        "request_failed",
        request=name,
        path=request.url.path,
        exc_info=(type(error), error, error.__traceback__),
    )
    message = f"the gateway failed; its log has the reason under request {name}"
    return Problem(
        code=MoleculeError.code,
        status=MoleculeError.http,
        detail=message,
        retryable=False,
        definite=False,
    ).response(request=name)


def request_id(request: Request) -> str:
    """The id that the gateway gave to this request."""
    return str(request.scope.get("state", {}).get("request_id", ""))
