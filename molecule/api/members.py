"""`/cluster/...`: tokens, joining, leaving, moving leadership."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.responses import Response

from molecule.api import bodies, queries
from molecule.api.documentation import answers, takes
from molecule.api.member_shapes import (
    AuthorityShape,
    JoinedShape,
    LeftShape,
    TokenShape,
    TransferShape,
)
from molecule.api.requests import JoinBody, LeaveBody, TokenBody, TransferBody
from molecule.api.surface import Surface
from molecule.wire.v1.door_pb2 import ActRequest

NodeName = Annotated[str, Path(min_length=1, max_length=64)]


def router(surface: Surface) -> APIRouter:
    """All routes that change who takes part."""
    routes = APIRouter(tags=["cluster"])
    limits = surface.limits

    async def act(
        request: Request, action: str, model: type[BaseModel], name: str = ""
    ) -> Response:
        queries.accept(request, (), limits=limits)
        body = await bodies.read(request, model, limits=limits, limit="http_small_body_bytes_max")
        fields = orjson.dumps(body.model_dump(exclude_none=True))
        asked = ActRequest(action=action, id=name, json=fields)
        # Each carries its own name or digest, so twice is like once.
        return await surface.act(request, asked, repeat_unknown=True)

    @routes.post("/cluster/tokens", **answers(TokenShape), openapi_extra=takes(TokenBody))
    async def token(request: Request) -> Response:
        """Make a token that lets one node in, once."""
        return await act(request, "token", TokenBody)

    @routes.get("/cluster/authority", **answers(AuthorityShape))
    async def authority(request: Request) -> Response:
        """The certificate of the cluster's authority; for everybody."""
        queries.accept(request, (), limits=limits)
        return await surface.act(request, ActRequest(action="authority"), repeat_unknown=True)

    @routes.post("/cluster/join", **answers(JoinedShape), openapi_extra=takes(JoinBody))
    async def join(request: Request) -> Response:
        """Use a token: certificates for a newcomer, which then asks to receive the log."""
        return await act(request, "join", JoinBody)

    @routes.post("/cluster/leave/{node}", **answers(LeftShape), openapi_extra=takes(LeaveBody))
    async def leave(request: Request, node: NodeName) -> Response:
        """Take a drained or dead node out for good."""
        return await act(request, "leave", LeaveBody, node)

    @routes.post("/cluster/transfer", **answers(TransferShape), openapi_extra=takes(TransferBody))
    async def transfer(request: Request) -> Response:
        """Let another voter lead."""
        return await act(request, "transfer", TransferBody)

    return routes
