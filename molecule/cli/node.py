"""`molecule node`: the members of the cluster."""

from typing import Final

from cyclopts import App

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import SHARED, Shared

app = App(name="node", help="Look at the nodes of the cluster.")

_PATH: Final = "/api/v1/nodes"
COLUMNS: Final = ("id", "up", "leader", "voter", "slots", "held", "http_address", "software")


@app.command(name="list")
def list_(*, shared: Shared = SHARED) -> None:
    """List all nodes."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("list nodes", "GET", _PATH))
    output.show(answer.value, form=shared.output, columns=COLUMNS)


@app.command
def show(node: str, *, shared: Shared = SHARED) -> None:
    """Show one node: identity, labels, what it holds."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call(f"show {node}", "GET", f"{_PATH}/{node}"))
    output.show(answer.value, form=shared.output)
