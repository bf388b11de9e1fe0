"""`/processes` and `/apply`: what is deployed, and how it comes to be."""

from pathlib import PurePosixPath
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import bodies, queries
from molecule.api.documentation import answers, takes
from molecule.api.queries import FRESH, PAGE, Parameter
from molecule.api.requests import ApplyBody, FileInBase64, PauseBody, SettleKeyBody
from molecule.api.shapes import Applied, ProcessPage, ProcessShape
from molecule.api.surface import Surface
from molecule.config import Limits
from molecule.model.errors import InvalidInput, LimitExceeded
from molecule.wire.v1.door_pb2 import ActRequest

_FILTERS: Final = (Parameter("environment", "Name of the environment."), *PAGE)
_APPLY: Final = (Parameter("environment", "Where the files are applied; required."),)
_SHOW: Final = (FRESH,)
ProcessText = Annotated[str, Path(min_length=1, max_length=256)]


def router(surface: Surface) -> APIRouter:
    """All routes of processes."""
    routes = APIRouter(tags=["processes"])
    _add_actions(routes, surface)
    limits = surface.limits

    @routes.get("/processes", **answers(ProcessPage), openapi_extra=queries.documented(_FILTERS))
    async def find(request: Request) -> Response:
        """Deployed processes, by name."""
        query = queries.accept(request, _FILTERS, limits=limits)
        return await surface.read(request, "processes", query=query)

    @routes.get(
        "/processes/{process}", **answers(ProcessShape), openapi_extra=queries.documented(_SHOW)
    )
    async def show(request: Request, process: ProcessText) -> Response:
        """One process with its versions."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "process", name=process, query=query)

    async def apply(request: Request) -> Response:
        """Deploy a repository's files to one environment; what is unchanged keeps its version."""
        query = queries.accept(request, _APPLY, limits=limits)
        environment = query.get("environment", "")
        if not environment:
            message = "name the environment: /api/v1/apply?environment=NAME"
            raise InvalidInput(message, field="environment")
        body = await bodies.read(request, ApplyBody, limits=limits, limit="package_bytes_max")
        asked = ActRequest(action="apply", id=environment, files=_files(body, limits=limits))
        # Versions are named by their content, so applying twice is like applying once.
        return await surface.act(request, asked, repeat_unknown=True)

    # Two addresses of one verb: `/apply` as the CLI says it, `/processes` is the noun it changes.
    extra = takes(ApplyBody, queries.documented(_APPLY))
    for path in ("/apply", "/processes"):
        routes.post(path, **answers(Applied), openapi_extra=extra)(apply)
    return routes


def _add_actions(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.post(
        "/processes/{process}/pause", **answers(ProcessShape), openapi_extra=takes(PauseBody)
    )
    async def pause(request: Request, process: ProcessText) -> Response:
        """Start nothing of a process from now on; what is accepted waits, what runs goes on."""
        return await act(request, "pause", process, PauseBody)

    @routes.post(
        "/processes/{process}/resume", **answers(ProcessShape), openapi_extra=takes(PauseBody)
    )
    async def resume(request: Request, process: ProcessText) -> Response:
        """Let a paused process start its work again."""
        return await act(request, "resume", process, PauseBody)

    @routes.post(
        "/processes/{process}/settle-key",
        **answers(ProcessShape),
        openapi_extra=takes(SettleKeyBody),
    )
    async def settle_key(request: Request, process: ProcessText) -> Response:
        """Let go of a concurrency key that is held for dead letters, once they are settled."""
        return await act(request, "settle_key", process, SettleKeyBody)

    async def act(
        request: Request, action: str, process: str, model: type[PauseBody | SettleKeyBody]
    ) -> Response:
        queries.accept(request, (), limits=limits)
        body = await bodies.read(request, model, limits=limits, limit="http_small_body_bytes_max")
        asked = ActRequest(action=action, id=process, json=orjson.dumps(body.model_dump()))
        return await surface.act(request, asked, repeat_unknown=action != "settle_key")


def _files(body: ApplyBody, *, limits: Limits) -> dict[str, bytes]:
    if len(body.files) > limits.files_per_package_max:
        raise LimitExceeded(
            limit="files_per_package_max",
            allowed=limits.files_per_package_max,
            asked=len(body.files),
        )
    return {_safe(path): _content(path, file) for path, file in body.files.items()}


def _safe(path: str) -> str:
    """The path as sent, when it cannot leave the repository's root."""
    parts = PurePosixPath(path).parts
    if not parts or path != "/".join(parts) or {".", ".."} & set(parts) or "\\" in path:
        message = f"files: {path!r} is not a path below the repository's root"
        raise InvalidInput(message, field="files")
    if not path.isprintable():
        raise InvalidInput(f"files: {path!r} holds unprintable characters", field="files")
    return path


def _content(path: str, file: str | FileInBase64) -> bytes:
    try:
        return file.encode() if isinstance(file, str) else file.content
    except ValueError as error:
        raise InvalidInput(f"files.{path}: {error}", field=f"files.{path}") from None
