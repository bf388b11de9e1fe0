"""`molecule cluster`: the whole at a glance."""

from typing import Any

from cyclopts import App

from molecule.cli import node, output
from molecule.cli.calls import Call
from molecule.cli.options import SHARED, Shared

app = App(name="cluster", help="Look at the whole cluster.")


@app.command
def status(*, shared: Shared = SHARED) -> None:
    """Show leader, voters, nodes, executions by state, and how many voters may be lost."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("show the cluster", "GET", "/api/v1/cluster"))
    if shared.output != "table":
        output.show(answer.value, form=shared.output)
        return
    told = answer.value
    output.facts(_summary(told))
    print()
    output.table(told["nodes"], node.COLUMNS)


def _summary(told: dict[str, Any]) -> dict[str, Any]:
    voters = told["may_lose_voters"]
    counts = {state: count for state, count in told["counts"].items() if count}
    return {
        "cluster": told["cluster"],
        "leader": told["leader"] or "none, an election is on",
        "may lose": f"{voters} voter{'s' if voters != 1 else ''}",
        "epoch": told["epoch"],
        "log index": told["index"],
        "accepted": told["accepted"],
        "executions": counts,
        "unaccounted": told["conservation_gap"],
    }
