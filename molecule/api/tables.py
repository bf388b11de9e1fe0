"""`/tables`: key tables of environments, which steps `table.*` read and write, for people."""

from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from molecule.api import bodies, queries
from molecule.api.documentation import answers, takes
from molecule.api.queries import FRESH, PAGE, Parameter
from molecule.api.surface import Surface
from molecule.model.errors import InvalidInput
from molecule.wire.v1.door_pb2 import ActRequest

_SHOW: Final = (FRESH,)
_LIST: Final = (Parameter("environment", "Name of the environment."), *PAGE)
Name = Annotated[str, Path(min_length=1, max_length=128)]
Key = Annotated[str, Path(min_length=1, max_length=1024, description="May hold slashes.")]


class TableShape(BaseModel):
    """A table in numbers; `unique` names the further keys that find its rows."""

    model_config = ConfigDict(extra="allow")

    environment: str
    table: str
    rows: int
    unique: list[str]


class TablePage(BaseModel):
    """Tables that have rows, by environment and name."""

    items: list[TableShape]
    next: str | None


class RowShape(BaseModel):
    """One row. `changed_at_ms` is a time of the cluster."""

    model_config = ConfigDict(extra="allow")

    key: str
    value: Any
    unique: dict[str, str]
    changed_at_ms: int


class RowPage(BaseModel):
    """Rows in the order of their keys."""

    items: list[RowShape]
    next: str | None


class TableRowBody(BaseModel):
    """A row to write, and the condition under which it is written."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    value: Any = Field(description="Any JSON value.")
    unique: dict[str, str] = Field(
        default_factory=dict, description="Further keys: each belongs to one row at most."
    )
    condition: Literal["always", "absent", "present", "equals"] = Field(
        "always",
        alias="if",
        description="Write only when there is no row, when there is one, or when it `equals`.",
    )
    equals: Any = Field(None, description="With `if: equals`: the value that the row must have.")


def router(surface: Surface) -> APIRouter:
    """All routes of key tables."""
    routes = APIRouter(tags=["tables"])
    limits = surface.limits
    _add_changes(routes, surface)

    @routes.get("/tables", **answers(TablePage), openapi_extra=queries.documented(_LIST))
    async def tables(request: Request) -> Response:
        """Key tables that have rows, by environment and name."""
        query = queries.accept(request, _LIST, limits=limits)
        return await surface.read(request, "tables", query=query)

    @routes.get(
        "/tables/{environment}/{table}",
        **answers(RowPage),
        openapi_extra=queries.documented(PAGE),
    )
    async def rows(request: Request, environment: Name, table: Name) -> Response:
        """Rows of one table, in the order of their keys."""
        query = queries.accept(request, PAGE, limits=limits)
        return await surface.read(request, "rows", name=f"{environment}/{table}", query=query)

    @routes.get(
        "/tables/{environment}/{table}/{key:path}",
        **answers(RowShape),
        openapi_extra=queries.documented(_SHOW),
    )
    async def row(request: Request, environment: Name, table: Name, key: Key) -> Response:
        """One row."""
        query = queries.accept(request, _SHOW, limits=limits)
        name = f"{environment}/{table}/{key}"
        return await surface.read(request, "row", name=name, query=query)

    return routes


def _add_changes(routes: APIRouter, surface: Surface) -> None:
    limits = surface.limits

    @routes.put(
        "/tables/{environment}/{table}/{key:path}",
        **answers(RowShape),
        openapi_extra=takes(TableRowBody),
    )
    async def put(request: Request, environment: Name, table: Name, key: Key) -> Response:
        """Write a row, if it is as `if` says. After an unknown outcome look before you repeat."""
        queries.accept(request, (), limits=limits)
        body = await bodies.read(
            request, TableRowBody, limits=limits, limit="http_small_body_bytes_max"
        )
        if ("equals" in body.model_fields_set) != (body.condition == "equals"):
            raise InvalidInput("equals: belongs to `if: equals`, which needs it", field="equals")
        asked = ActRequest(
            action="table_put",
            id=f"{environment}/{table}/{key}",
            json=orjson.dumps(body.model_dump(by_alias=True)),
        )
        return await surface.act(request, asked, repeat_unknown=False)

    @routes.delete(
        "/tables/{environment}/{table}/{key:path}", **answers(RowShape), openapi_extra={}
    )
    async def delete(request: Request, environment: Name, table: Name, key: Key) -> Response:
        """Take a row out; the answer is the row as it was."""
        queries.accept(request, (), limits=limits)
        asked = ActRequest(action="table_delete", id=f"{environment}/{table}/{key}")
        return await surface.act(request, asked, repeat_unknown=False)
