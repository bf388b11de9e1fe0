"""`/cluster`: the whole at a glance."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import queries
from molecule.api.documentation import answers
from molecule.api.queries import FRESH
from molecule.api.shapes import ClusterShape
from molecule.api.shapes_of_reasons import Postmortem, PostmortemPage
from molecule.api.surface import Surface

_SHOW: Final = (FRESH,)
PostmortemName = Annotated[
    str, Path(min_length=1, max_length=128, description="NODE.INCARNATION of the life that ended.")
]


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

    @routes.get(
        "/cluster/postmortems",
        tags=["cluster"],
        **answers(PostmortemPage),
        openapi_extra=queries.documented(_SHOW),
    )
    async def postmortems(request: Request) -> Response:
        """Lost lives of nodes, the newest first."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "postmortems", query=query)

    @routes.get(
        "/cluster/postmortems/{postmortem}",
        tags=["cluster"],
        **answers(Postmortem),
        openapi_extra=queries.documented(_SHOW),
    )
    async def postmortem(request: Request, postmortem: PostmortemName) -> Response:
        """What one loss was known by and what it cost."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "postmortem", name=postmortem, query=query)

    return routes
