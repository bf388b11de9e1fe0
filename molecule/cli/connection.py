"""`molecule connection`: breakers and rates of connections."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import PAGE, SHARED, Page, Shared, given

app = App(name="connection", help="Look at connections, their breakers and their rates.")

_PATH: Final = "/api/v1/connections"
_COLUMNS: Final = (
    "environment",
    "connection",
    "breaker_state",
    "waiting",
    "let_through",
    "waited_ms",
)


@app.command(name="list")
def list_(
    *,
    environment: Annotated[str, Parameter(help="Only in this environment.")] = "",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """List the connections that deployed processes use."""
    query = given(environment=environment)
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list connections", "GET", _PATH, query=query | page.query()))
    output.show(answer.value, form=shared.output, columns=_COLUMNS)


@app.command
def show(
    connection: str,
    *,
    environment: Annotated[str, Parameter(help="The environment.")] = "dev",
    shared: Shared = SHARED,
) -> None:
    """Show one connection: whether it takes calls now, and how many wait before it."""
    path = f"{_PATH}/{environment}/{connection}"
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"show {connection}", "GET", path))
    output.show(answer.value, form=shared.output)
