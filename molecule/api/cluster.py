"""`/nodes` and `/cluster`: looking at the cluster."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import queries
from molecule.api.documentation import answers
from molecule.api.queries import FRESH, PAGE
from molecule.api.shapes import ClusterShape, NodePage, NodeShape
from molecule.api.surface import Surface

_SHOW: Final = (FRESH,)


def router(surface: Surface) -> APIRouter:
    """All routes that look at the cluster."""
    routes = APIRouter()
    limits = surface.limits

    @routes.get(
        "/nodes", tags=["nodes"], **answers(NodePage), openapi_extra=queries.documented(PAGE)
    )
    async def nodes(request: Request) -> Response:
        """All nodes, by id."""
        query = queries.accept(request, PAGE, limits=limits)
        return await surface.read(request, "nodes", query=query)

    @routes.get(
        "/nodes/{node}",
        tags=["nodes"],
        **answers(NodeShape),
        openapi_extra=queries.documented(_SHOW),
    )
    async def node(
        request: Request, node: Annotated[str, Path(min_length=1, max_length=64)]
    ) -> Response:
        """One node: identity, load, what it holds."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "node", name=node, query=query)

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
