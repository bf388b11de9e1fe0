"""`/executions/{execution}/signals/{name}`: tell an execution something. Its `await` takes it."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import bodies, queries, submissions
from molecule.api.documentation import answers
from molecule.api.execution_parts import SignalKept
from molecule.api.queries import Parameter
from molecule.api.surface import Surface
from molecule.model.errors import MoleculeError
from molecule.wire.v1.door_pb2 import ActRequest

_KEY_HEADER: Final = "Idempotency-Key"
_CORRELATION: Final = Parameter(
    "correlation", "Which of several documents it is for: what its `await` calls `correlation`."
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "description": "Any JSON value: what the document that waits gets. Nothing is `null`.",
        "content": {"application/json": {"schema": {}}},
    }
}


def router(surface: Surface) -> APIRouter:
    """The route of signals."""
    routes = APIRouter(tags=["executions"])
    limits = surface.limits

    @routes.post(
        "/executions/{execution}/signals/{name}",
        **answers(SignalKept),
        openapi_extra=queries.documented((_CORRELATION,), _KEY_HEADER) | _BODY,
    )
    async def signal(
        request: Request,
        execution: Annotated[str, Path(min_length=1, max_length=128, description="Its id.")],
        name: Annotated[str, Path(min_length=1, description="Name of the signal.")],
    ) -> Response:
        """Tell an execution something; kept until its `await` takes it, also when that is later."""
        asked = queries.accept(request, (_CORRELATION,), limits=limits)
        key = submissions.key_from(request.headers.get(_KEY_HEADER), limits=limits)
        value = await bodies.read_value(request, limits=limits, limit="signal_body_bytes_max")
        fields = {"name": name, "key": key, "value": value, **asked}
        act = ActRequest(action="signal", id=execution, json=orjson.dumps(fields))
        try:
            return await surface.act(request, act, repeat_unknown=True)
        except MoleculeError as error:
            error.facts = {**error.facts, "idempotency_key": key}
            raise

    return routes
