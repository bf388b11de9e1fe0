"""`/nodes`: looking at nodes, emptying one."""

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from molecule.api import bodies, queries
from molecule.api.documentation import answers, takes
from molecule.api.member_shapes import DrainPlanShape
from molecule.api.queries import FRESH, PAGE
from molecule.api.requests import DrainBody, EmptyBody
from molecule.api.shapes import NodePage, NodeShape
from molecule.api.surface import Surface
from molecule.wire.v1.door_pb2 import ActRequest

_SHOW: Final = (FRESH,)
NodeName = Annotated[str, Path(min_length=1, max_length=64)]


def router(surface: Surface) -> APIRouter:
    """All routes of nodes."""
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
    async def node(request: Request, node: NodeName) -> Response:
        """One node: identity, load, what it holds."""
        query = queries.accept(request, _SHOW, limits=limits)
        return await surface.read(request, "node", name=node, query=query)

    _drain(routes, surface)
    return routes


def _drain(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.get("/nodes/{node}/drain-plan", tags=["nodes"], **answers(DrainPlanShape))
    async def drain_plan(request: Request, node: NodeName) -> Response:
        """What draining a node would bring about; nothing is changed."""
        queries.accept(request, (), limits=limits)
        asked = ActRequest(action="plan_drain", id=node)
        return await surface.act(request, asked, repeat_unknown=True)

    @routes.post(
        "/nodes/{node}/drain",
        tags=["nodes"],
        **answers(NodeShape),
        openapi_extra=takes(DrainBody),
    )
    async def drain(request: Request, node: NodeName) -> Response:
        """Give a node no new work, move its triggers, and have it hand back what it holds."""
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, DrainBody, limits=limits, limit="http_small_body_bytes_max"
        )
        fields = orjson.dumps(body.model_dump(exclude_none=True))
        asked = ActRequest(action="drain", id=node, json=fields)
        return await surface.act(request, asked, repeat_unknown=True)

    @routes.post(
        "/nodes/{node}/undrain",
        tags=["nodes"],
        **answers(NodeShape),
        openapi_extra=takes(EmptyBody),
    )
    async def undrain(request: Request, node: NodeName) -> Response:
        """Let a node take work again."""
        queries.accept(request, (), limits=limits)
        await bodies.read(request, EmptyBody, limits=limits, limit="http_small_body_bytes_max")
        return await surface.act(
            request, ActRequest(action="undrain", id=node), repeat_unknown=True
        )
