"""`molecule deadletter`: documents that failed and are kept for repair."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import PAGE, SHARED, Page, Shared, given

app = App(name="deadletter", help="Look at documents that failed and are kept.")

_PATH: Final = "/api/v1/deadletters"
_COLUMNS: Final = ("id", "process", "execution", "step", "error_class", "error", "at_ms")


@app.command(name="list")
def list_(
    *,
    process: Annotated[str, Parameter(help="Only of this process.")] = "",
    environment: Annotated[str, Parameter(help="Only in this environment.")] = "",
    execution: Annotated[str, Parameter(help="Only of this execution.")] = "",
    error_class: Annotated[str, Parameter(help="Only with this class of error, like `data`.")] = "",
    page: Page = PAGE,
    shared: Shared = SHARED,
) -> None:
    """List dead letters, newest first."""
    query = given(
        process=process, environment=environment, execution=execution, error_class=error_class
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list dead letters", "GET", _PATH, query=query | page.query()))
    output.show(answer.value, form=shared.output, columns=_COLUMNS)


@app.command
def show(dead_letter: str, *, shared: Shared = SHARED) -> None:
    """Show one dead letter with its document."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"show {dead_letter}", "GET", f"{_PATH}/{dead_letter}"))
    output.show(answer.value, form=shared.output)
