"""`molecule table`: key tables, which steps `table.*` read and write."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter

from molecule.cli import inputs, output
from molecule.cli.calls import Call
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.options import PAGE, SHARED, Page, Shared, given

app = App(name="table", help="Look at rows of key tables, and change them.")

_PATH: Final = "/api/v1/tables"
_WHERE: Final = "The environment."
_TABLES: Final = ("environment", "table", "rows", "unique")
_ROWS: Final = ("key", "value", "unique", "changed_at_ms")


@app.command(name="list")
def list_(
    *,
    environment: Annotated[str, Parameter(help="Only in this environment.")] = "",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """List the key tables that have rows."""
    query = given(environment=environment)
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list tables", "GET", _PATH, query=query | page.query()))
    output.show(answer.value, form=shared.output, columns=_TABLES)


@app.command
def show(
    table: str,
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "dev",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """Show the rows of a table, in the order of their keys."""
    with shared.cluster() as cluster:
        answer = cluster.ask(
            Call(f"show {table}", "GET", _path(environment, table), query=page.query())
        )
    output.show(answer.value, form=shared.output, columns=_ROWS)


@app.command
def get(
    table: str,
    key: str,
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "dev",
    shared: Shared = SHARED,
) -> None:
    """Show one row."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"get {key}", "GET", _path(environment, table, key)))
    output.show(answer.value, form=shared.output)


@app.command
def put(
    table: str,
    key: str,
    value: Annotated[str, Parameter(help="The value, as JSON.")] = "",
    *,
    file: Annotated[Path | None, Parameter(help="Take the value from here; - is stdin.")] = None,
    when: Annotated[
        Literal["always", "absent", "present"],
        Parameter(name="--if", help="Write only when there is no such row, or when there is one."),
    ] = "always",
    unique: Annotated[
        tuple[str, ...], Parameter(help="A further key as NAME=VALUE; may be repeated.")
    ] = (),
    environment: Annotated[str, Parameter(help=_WHERE)] = "dev",
    shared: Shared = SHARED,
) -> None:
    """Write a row; the answer is the row."""
    if not value and file is None:
        raise Failure(
            "no value was given",
            then=f"molecule table put {table} {key} '{{\"n\": 1}}', or --file",
            code=ExitCode.WRONG_USAGE,
        )
    body: dict[str, Any] = {"value": inputs.value(value, file), "if": when}
    if unique:
        body["unique"] = dict(_pair(text) for text in unique)
    call = Call(
        f"put {key} of {table}",
        "PUT",
        _path(environment, table, key),
        body=body,
        is_repeatable=when == "always",
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


@app.command
def delete(
    table: str,
    key: str,
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "dev",
    shared: Shared = SHARED,
) -> None:
    """Take a row out; the answer is the row as it was."""
    path = _path(environment, table, key)
    call = Call(f"delete {key} of {table}", "DELETE", path, is_repeatable=False)
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


def _path(environment: str, *names: str) -> str:
    return "/".join([_PATH, *(quote(name, safe="") for name in (environment, *names))])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Failure(
            f"--unique {text!r} is not NAME=VALUE",
            then="--unique email=a@example.com",
            code=ExitCode.WRONG_USAGE,
        )
    return name, value
