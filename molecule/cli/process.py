"""`molecule process`: what is deployed, and whether it may start work."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import PAGE, SHARED, Page, Shared, given

app = App(name="process", help="Look at deployed processes, pause and resume them.")

_PATH: Final = "/api/v1/processes"
_WHERE: Final = "Where it is deployed; needed when that is more than one place."
_COLUMNS: Final = (
    *("process", "environment", "version", "has_trigger", "trigger_state", "trigger_node"),
    *("trigger_failures", "paused", "activated_at_ms"),
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


@app.command
def pause(
    process: str,
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "",
    reason: Annotated[str, Parameter(help="Why; shown with the process.")] = "",
    shared: Shared = SHARED,
) -> None:
    """Start nothing of a process from now on; what is accepted waits, what runs goes on."""
    _act("pause", process, given(environment=environment, reason=reason), shared)


@app.command
def resume(
    process: str,
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "",
    shared: Shared = SHARED,
) -> None:
    """Let a paused process start its work again."""
    _act("resume", process, given(environment=environment), shared)


@app.command
def settle_key(
    process: str,
    key: Annotated[str, Parameter(help="The concurrency key, as `process show` tells it.")],
    *,
    environment: Annotated[str, Parameter(help=_WHERE)] = "",
    shared: Shared = SHARED,
) -> None:
    """Let go of a concurrency key that is held for dead letters, once they are settled."""
    _act("settle-key", process, given(concurrency_key=key, environment=environment), shared)


def _act(verb: str, process: str, body: dict[str, str], shared: Shared) -> None:
    call = Call(
        f"{verb} {process}",
        "POST",
        f"{_PATH}/{process}/{verb}",
        body=body,
        is_repeatable=verb != "settle-key",
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)
