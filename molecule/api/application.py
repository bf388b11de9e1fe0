"""The application of a gateway: routers, error handlers and layers put together.

It keeps nothing between requests but counters, so any gateway answers for the whole cluster and may
be killed at any time.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from molecule import __version__
from molecule.api import (
    cluster,
    connections,
    deadletters,
    executions,
    listening,
    members,
    nodes,
    probes,
    processes,
    retention,
    signals,
    tables,
)
from molecule.api.documentation import ProblemDocument
from molecule.api.door import DoorClient
from molecule.api.hold import Patience
from molecule.api.layers import Bounding, Naming, Shielding
from molecule.api.metrics import Counting, GatewayMetrics
from molecule.api.plain import submissions_of
from molecule.api.problems import (
    answer_http,
    answer_known,
    answer_unknown,
    problem_of,
    request_id,
)
from molecule.api.requests import (
    ApplyBody,
    BatchBody,
    CancelBody,
    DrainBody,
    EmptyBody,
    JoinBody,
    LeaveBody,
    PauseBody,
    PurgeBody,
    ReleaseBody,
    ResolveBody,
    RetryBody,
    SettleKeyBody,
    SubmitBody,
    TokenBody,
    TransferBody,
)
from molecule.api.surface import Surface
from molecule.config import Limits
from molecule.model.errors import InvalidInput, MoleculeError

_DOORS: Final = (
    *("executions", "processes", "apply", "deadletters", "connections", "tables"),
    *("nodes", "cluster", "retention"),
    *("livez", "readyz", "startupz", "metrics", "api"),
)
_BODIES: Final = (
    SubmitBody,
    BatchBody,
    CancelBody,
    PurgeBody,
    ResolveBody,
    ReleaseBody,
    RetryBody,
    PauseBody,
    SettleKeyBody,
    ApplyBody,
    DrainBody,
    EmptyBody,
    JoinBody,
    LeaveBody,
    TokenBody,
    TransferBody,
    tables.TableRowBody,
    ProblemDocument,
)


def build(door: DoorClient, limits: Limits, *, patience: Patience | None = None) -> FastAPI:
    """The REST application that answers by asking `door`. Tests give a clock of their own."""
    surface = Surface(door=door, limits=limits, patience=patience or patient(limits))
    metrics = GatewayMetrics(_DOORS)
    app = FastAPI(
        title="Molecule",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    of_work = (executions, signals, processes, deadletters, connections, tables)
    for part in (*of_work, nodes, members, cluster, retention):
        app.include_router(part.router(surface), prefix="/api/v1")
    app.include_router(listening.router(surface))
    app.include_router(probes.router(surface, metrics))
    app.add_exception_handler(MoleculeError, answer_known)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    # The last one added is the outermost: a refused request too has an id and is counted.
    app.add_middleware(Shielding)
    app.add_middleware(Bounding, requests_max=limits.http_requests_max)
    app.add_middleware(Counting, metrics=metrics)
    app.add_middleware(Naming)
    app.router.routes[:0] = submissions_of(executions.router(surface))
    app.openapi = _document(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def patient(limits: Limits) -> Patience:
    """Real time."""
    return Patience(
        now_s=lambda: asyncio.get_running_loop().time(),
        pause_s=asyncio.sleep,
        repeat_s=limits.door_repeat_ms / 1000,
    )


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """Handler of path parameters out of form; bodies and queries are checked by our own code."""
    if not isinstance(error, RequestValidationError):
        return await answer_unknown(request, error)
    faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    return problem_of(InvalidInput("; ".join(faults))).response(request=request_id(request))


def _document(app: FastAPI) -> Callable[[], dict[str, Any]]:
    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    return describe


def _described(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document with the models it does not see, and how callers say who they are."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in _BODIES:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"bearer": []}]
    return document
