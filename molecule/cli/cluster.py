"""`molecule cluster`: the whole at a glance, and who takes part in it."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from molecule.cli import joining, local, local_files, node, output
from molecule.cli.calls import Call
from molecule.cli.failures import Failure
from molecule.cli.joining import JoinToken
from molecule.cli.local import LocalError
from molecule.cli.local_commands import FOLDER
from molecule.cli.node import drain_until_empty
from molecule.cli.options import SHARED, Shared, confirm, milliseconds
from molecule.cli.postmortem import postmortem

app = App(name="cluster", help="Look at the whole cluster; let nodes join and leave.")


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


app.command(postmortem)


@app.command
def token(
    *,
    lifetime: Annotated[str, Parameter(help="How long the token is good.")] = "1h",
    shared: Shared = SHARED,
) -> None:
    """Make a token that lets one node into the cluster, once. It is shown here only."""
    body = {"lifetime_ms": milliseconds(lifetime, "--lifetime")}
    with shared.cluster() as cluster:
        call = Call("make a join token", "POST", "/api/v1/cluster/tokens", body=body)
        answer = cluster.ask(call)
    if shared.output == "table":
        print(answer.value["token"])
    else:
        output.show(answer.value, form=shared.output)


@app.command
def join(
    address: str,
    *,
    token: Annotated[str, Parameter(help="From `molecule cluster token`.")],
    id_: Annotated[str, Parameter(name="--id", help="The node's name; default: a free one.")] = "",
    folder: Annotated[
        Path, Parameter(help="Where its certificates and data are kept; default: .molecule")
    ] = FOLDER,
    host: Annotated[
        str, Parameter(help="This machine, as the other nodes reach it.")
    ] = "127.0.0.1",
    first_port: Annotated[
        int | None, Parameter(help="HTTPS there, the internal port one above; default: free ones.")
    ] = None,
    start: Annotated[bool, Parameter(help="Start it and wait until it takes part.")] = True,
) -> None:
    """Let a new node on this machine join the cluster at ADDRESS (HTTPS, a node with `ca_key`)."""
    known = JoinToken.parse(token)
    try:
        place = local_files.next_node(folder.resolve(), node=id_, host=host, first_port=first_port)
    except ValueError as error:
        raise Failure(
            "join: this folder has such a node",
            why=str(error),
            then="give another --id or --folder, or remove it",
        ) from None
    joining.obtain(address, known, node=place, folder=folder.resolve())
    output.talk(f"{place.id} was let in; its files are in {place.folder}")
    if not start:
        output.talk(f"start it with: molecule serve --config {place.config}")
        return
    try:
        asyncio.run(local.started(folder.resolve(), place.id, say=output.talk))
    except LocalError as error:
        raise Failure(
            "the node does not take part yet", why=str(error), then="look at its log"
        ) from None


@app.command
def leave(
    node: str,
    *,
    dead: Annotated[
        bool, Parameter(help="The node is lost and will not come back, or never came.", negative="")
    ] = False,
    timeout: Annotated[str, Parameter(help="For its drain, as in `node drain`.")] = "60s",
    yes: Annotated[bool, Parameter(help="Do not ask.", negative="")] = False,
    folder: Annotated[
        Path, Parameter(help="Of `up`: a node of this folder is stopped too; default: .molecule")
    ] = FOLDER,
    shared: Shared = SHARED,
) -> None:
    """Take a node out of the cluster for good: drain it, hand over, remove it."""
    confirm(f"Take {node} out of the cluster for good?", is_sure=yes)
    timeout_ms = milliseconds(timeout, "--timeout")
    with shared.cluster() as cluster:
        if not dead:
            drain_until_empty(cluster, node, timeout_ms=timeout_ms)
        call = Call(
            f"leave {node}", "POST", f"/api/v1/cluster/leave/{node}", body={"dead": dead}, wait_s=30
        )
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)
    if asyncio.run(local.left(folder.resolve(), node)):
        output.talk(f"{node} is no member any more and was stopped; its files are kept")
    else:
        output.talk(f"{node} is no member any more: stop it, and remove its folder")


@app.command
def transfer(node: str = "", *, shared: Shared = SHARED) -> None:
    """Let another voter lead: NODE, or the one that is furthest."""
    with shared.cluster() as cluster:
        call = Call("transfer", "POST", "/api/v1/cluster/transfer", body={"to": node})
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


def _summary(told: dict[str, Any]) -> dict[str, Any]:
    voters = told["may_lose_voters"]
    counts = {state: count for state, count in told["counts"].items() if count}
    return {
        "cluster": told["cluster"],
        "leader": told["leader"] or "none, an election is on",
        "voters": told["voters"],
        **({"learners": [_learner(each) for each in told["learners"]]} if told["learners"] else {}),
        "may lose": f"{voters} voter{'s' if voters != 1 else ''}",
        "epoch": told["epoch"],
        "log index": told["index"],
        "accepted": told["accepted"],
        "executions": counts,
        "unaccounted": told["conservation_gap"],
    }


def _learner(told: dict[str, Any]) -> str:
    if not told["waits_for"]:
        return str(told["id"])
    return (
        f"{told['id']} waits for {told['waits_for']}: entry {told['log_index']} of "
        f"{told['log_end']}, {told['missing_documents']} documents missing"
    )
