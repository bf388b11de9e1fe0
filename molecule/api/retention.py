"""`/retention`: what is kept and how full the disks are, and purging."""

from typing import Final

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from molecule.api import bodies, queries
from molecule.api.documentation import answers, takes
from molecule.api.queries import FRESH
from molecule.api.requests import PurgeBody
from molecule.api.retention_shapes import PurgeAnswer, RetentionShape
from molecule.api.surface import Surface
from molecule.wire.v1.door_pb2 import ActRequest

_SHOW: Final = (FRESH,)


def router(surface: Surface) -> APIRouter:
    """All routes of retention."""
    routes = APIRouter(tags=["retention"])
    limits = surface.limits

    @routes.get("/retention", **answers(RetentionShape), openapi_extra=queries.documented(_SHOW))
    async def retention(request: Request) -> Response:
        """What each class keeps and takes on the answering node, and the disks it knows of."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "retention", query=query)

    @routes.post("/retention/purge", **answers(PurgeAnswer), openapi_extra=takes(PurgeBody))
    async def purge(request: Request) -> Response:
        """Purge what ended long ago, also while the cluster takes no submissions."""
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, PurgeBody, limits=limits, limit="http_small_body_bytes_max"
        )
        asked = ActRequest(action="purge", json=orjson.dumps(body.model_dump(exclude_none=True)))
        # A horizon never goes back, so twice is like once.
        return await surface.act(request, asked, repeat_unknown=True)

    return routes
