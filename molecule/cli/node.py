"""`molecule node`: the members of the cluster, and emptying one."""

import asyncio
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call, Cluster
from molecule.cli.failures import Failure
from molecule.cli.options import SHARED, Shared, milliseconds
from molecule.cli.waiting import NotInTime, until

app = App(name="node", help="Look at the nodes of the cluster, drain one.")

_PATH: Final = "/api/v1/nodes"
_SLACK_S: Final = 30.0
"""After the drain's time-out: its last words, and an election in between."""
COLUMNS: Final = (
    "id",
    "up",
    "leader",
    "voter",
    "draining",
    "slots",
    "held",
    "http_address",
    "software",
)
_MOVES: Final = ("execution", "environment", "process", "goes_to", "why")


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


@app.command
def drain(
    node: str,
    *,
    timeout: Annotated[
        str,
        Parameter(
            help="So long executions may go on to a place where they can stop; then they "
            "stop anyway."
        ),
    ] = "60s",
    plan: Annotated[bool, Parameter(help="Only tell what would move where.", negative="")] = False,
    wait: Annotated[bool, Parameter(help="Wait until the node holds nothing (default).")] = True,
    shared: Shared = SHARED,
) -> None:
    """Give a node no new work and have it hand back what it has; ends by `undrain`."""
    timeout_ms = milliseconds(timeout, "--timeout")
    with shared.cluster() as cluster:
        if plan:
            _show_plan(cluster, node, shared)
            return
        value = drain_until_empty(cluster, node, timeout_ms=timeout_ms, wait=wait)
    output.show(value, form=shared.output)


@app.command
def undrain(node: str, *, shared: Shared = SHARED) -> None:
    """Let a drained node take work again."""
    with shared.cluster() as cluster:
        call = Call(f"undrain {node}", "POST", f"{_PATH}/{node}/undrain", body={})
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


def drain_until_empty(
    cluster: Cluster, node: str, *, timeout_ms: int, wait: bool = True
) -> dict[str, Any]:
    """Begin a drain and wait until the node holds nothing; the node as it is then."""
    body = {"timeout_ms": timeout_ms}
    drained = cluster.ask(Call(f"drain {node}", "POST", f"{_PATH}/{node}/drain", body=body))
    value: dict[str, Any] = drained.value
    if not wait:
        return value
    return _until_drained(cluster, node, value, within_s=timeout_ms / 1000 + _SLACK_S)


def _show_plan(cluster: Cluster, node: str, shared: Shared) -> None:
    call = Call(f"plan to drain {node}", "GET", f"{_PATH}/{node}/drain-plan")
    told = cluster.ask(call).value
    if shared.output != "table":
        output.show(told, form=shared.output)
        return
    lists = ("executions", "triggers")
    output.facts({name: value for name, value in told.items() if name not in lists})
    print()
    output.table([*told["triggers"], *told["executions"]], _MOVES)


def _until_drained(
    cluster: Cluster, node: str, value: dict[str, Any], *, within_s: float
) -> dict[str, Any]:
    told = -1

    async def look() -> dict[str, Any] | None:
        nonlocal value, told
        if told >= 0:
            query = {"fresh": "true"}
            call = Call(f"show {node}", "GET", f"{_PATH}/{node}", query=query)
            value = (await asyncio.to_thread(cluster.ask, call)).value
        if value["drained"]:
            return value
        if not value["up"] or not value["draining"]:
            raise Failure(
                f"drain {node}: it is {'lost' if not value['up'] else 'undrained'} now",
                then=f"look with: molecule node show {node}",
            )
        if told != value["held"]:
            told = value["held"]
            output.talk(f"{node} still holds {told} executions and {value['triggers']} triggers")
        return None

    try:
        drained = asyncio.run(until(look, what=f"{node} to be drained", within_s=within_s))
    except NotInTime as error:
        raise Failure(
            f"drain {node}: it still holds {value['held']} executions",
            why=str(error),
            then=f"look with: molecule node show {node}; it goes on draining",
        ) from None
    output.talk(f"{node} is drained")
    return drained
