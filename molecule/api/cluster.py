"""`/cluster`: the whole at a glance."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from molecule.api import queries
from molecule.api.documentation import answers
from molecule.api.queries import FRESH
from molecule.api.shapes import ClusterShape
from molecule.api.surface import Surface

_SHOW: Final = (FRESH,)


def router(surface: Surface) -> APIRouter:
    """All routes of the whole cluster."""
    routes = APIRouter()
    limits = surface.limits

    @routes.get(
        "/cluster",
        tags=["cluster"],
        **answers(ClusterShape),
        openapi_extra=queries.documented(_SHOW),
    )
    async def cluster(request: Request) -> Response:
        """Leader, voters, counts of executions, how many voters may be lost."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "cluster", query=query)

    return routes
