"""`/connections`: breakers and rates of connections, and who waits before them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from molecule.api import queries
from molecule.api.documentation import answers
from molecule.api.queries import FRESH, PAGE, Parameter
from molecule.api.surface import Surface

_SHOW: Final = (FRESH,)
_LIST: Final = (Parameter("environment", "Name of the environment."), *PAGE)
Name = Annotated[str, Path(min_length=1, max_length=128)]


class ConnectionShape(BaseModel):
    """A connection in an environment; `breaker_state` is closed, open, half_open or none."""

    model_config = ConfigDict(extra="allow")

    environment: str
    connection: str
    breaker_state: str
    breaker: dict[str, Any] | None
    rate: dict[str, Any] | None
    waiting: int
    waiting_first: str
    let_through: int
    waited_ms: int


class ConnectionPage(BaseModel):
    """Connections that deployed processes use, by environment and name."""

    model_config = ConfigDict(extra="allow")

    items: list[ConnectionShape]
    next: str | None


def router(surface: Surface) -> APIRouter:
    """All routes of connections."""
    routes = APIRouter(tags=["connections"])
    limits = surface.limits

    @routes.get("/connections", **answers(ConnectionPage), openapi_extra=queries.documented(_LIST))
    async def connections(request: Request) -> Response:
        """Connections with their breakers and rates, by environment and name."""
        query = queries.accept(request, _LIST, limits=limits)
        return await surface.read(request, "connections", query=query)

    @routes.get(
        "/connections/{environment}/{connection}",
        **answers(ConnectionShape),
        openapi_extra=queries.documented(_SHOW),
    )
    async def connection(request: Request, environment: Name, connection: Name) -> Response:
        """One connection: whether it takes calls now, and how many wait before it."""
        query = queries.accept(request, _SHOW, limits=limits)
        name = f"{environment}/{connection}"
        return await surface.read(request, "connection", name=name, query=query)

    return routes
