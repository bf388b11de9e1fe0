"""What the OpenAPI document says of each route beyond what FastAPI sees in its signature.

Bodies and answers are handled as bytes for speed; here their models are tied to the routes again.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from molecule.api.problems import MEDIA_TYPE

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {
    "description": "A problem document (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDocument")}}},
}


class ProblemDocument(BaseModel):
    """RFC 9457, and three members of ours.

    `code` is stable; `retryable`: the same request may succeed later; `definite`: nothing happened.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    definite: bool
    request: str = ""
    idempotency_key: str | None = None
    limit: str | None = None


def answers(
    model: type[BaseModel], *, status: int = 200, also: Mapping[int, type[BaseModel]] | None = None
) -> dict[str, Any]:
    """Arguments of a route: the models of its answers, and problems for everything else."""
    responses: dict[int | str, Any] = {status: {"model": model, "description": _first(model)}}
    for other, its_model in (also or {}).items():
        responses[other] = {"model": its_model, "description": _first(its_model)}
    responses["default"] = _PROBLEM
    return {"responses": responses, "status_code": status}


def takes(model: type[BaseModel], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The request body of a route, beside other additions to its operation."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {**(extra or {}), "requestBody": body}


def _first(model: type[BaseModel]) -> str:
    return (model.__doc__ or model.__name__).strip().splitlines()[0]
