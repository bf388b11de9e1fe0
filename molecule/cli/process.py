"""`molecule process`: what is deployed."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import PAGE, SHARED, Page, Shared, given

app = App(name="process", help="Look at deployed processes and their versions.")

_PATH: Final = "/api/v1/processes"
_COLUMNS: Final = (
    *("process", "environment", "version", "has_trigger", "trigger_on", "trigger_node"),
    "activated_at_ms",
)


@app.command(name="list")
def list_(
    *,
    environment: Annotated[str, Parameter(help="Only in this environment.")] = "",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """List deployed processes."""
    query = given(environment=environment) | page.query()
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list processes", "GET", _PATH, query=query))
    output.show(answer.value, form=shared.output, columns=_COLUMNS)


@app.command
def show(process: str, *, shared: Shared = SHARED) -> None:
    """Show where a process is deployed, and its versions."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"show {process}", "GET", f"{_PATH}/{process}"))
    output.show(answer.value, form=shared.output)
