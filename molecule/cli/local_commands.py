"""`molecule up` and `molecule down`: the commands; `local.py` does the work."""

import asyncio
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from molecule.cli import local, local_files, output
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.local import LocalError

FOLDER: Final = Path(".molecule")
"""Where commands look for a context by themselves."""

_NODES: Final = 3
_VOTERS: Final = (1, 3, 5, 7)
_PORTS: Final = range(1, 65_536)


def up(
    *,
    folder: Annotated[
        Path,
        Parameter(
            help="Where certificates and data are kept; a cluster found there goes on. "
            "Default: .molecule"
        ),
    ] = FOLDER,
    nodes: Annotated[
        int | None, Parameter(help="Nodes of a new cluster: 1, 3 (default), 5 or 7.")
    ] = None,
    worker_nodes: Annotated[
        int, Parameter(help="Nodes without a vote beside them; default 0.")
    ] = 0,
    first_port: Annotated[
        int | None,
        Parameter(help="Ports of a new cluster are counted from here; default: free ones."),
    ] = None,
    timing_profile: Annotated[
        Literal["normal", "relaxed"],
        Parameter(help="`relaxed` for slow machines: all time-outs four times as long."),
    ] = "normal",
) -> None:
    """Start a cluster on this machine and leave it running."""
    _check(nodes, worker_nodes, first_port)
    if nodes is not None and local_files.exists(folder):
        output.talk(f"--nodes is for a new cluster; that in {folder} grows by: cluster join")
    try:
        asyncio.run(
            local.up(
                folder,
                nodes=nodes or _NODES,
                worker_nodes=worker_nodes,
                first_port=first_port,
                timing_profile=timing_profile,
                say=output.talk,
            )
        )
    except LocalError as error:
        raise _failed("the cluster did not start", str(error)) from None
    except OSError as error:
        why = f"{error.filename or folder}: {error.strerror or error}"
        raise _failed("the cluster did not start", why) from None


def down(*, folder: Annotated[Path, Parameter(help="The folder given to `up`.")] = FOLDER) -> None:
    """Stop the cluster of this machine; its data is kept."""
    try:
        asyncio.run(local.down(folder, say=output.talk))
    except LocalError as error:
        raise _failed("the cluster was not stopped", str(error)) from None


def _check(nodes: int | None, worker_nodes: int, first_port: int | None) -> None:
    """Before anything is made: a folder with wrong settings would be taken for a cluster."""
    count = _NODES if nodes is None else nodes
    last_port = (first_port or 1) + 2 * (count + worker_nodes) - 1
    if count not in _VOTERS:
        wrong = (
            f"--nodes {nodes} is not possible",
            "use 1, 3, 5 or 7: an even number adds no safety",
        )
    elif worker_nodes < 0:
        wrong = f"--worker-nodes {worker_nodes} is not possible", "use 0 or more"
    elif first_port is not None and (first_port not in _PORTS or last_port not in _PORTS):
        wrong = (
            f"--first-port {first_port} is not possible",
            f"each node takes two ports, and all are from 1 to {_PORTS[-1]}",
        )
    else:
        return
    raise Failure(wrong[0], then=wrong[1], code=ExitCode.WRONG_USAGE)


def _failed(what: str, why: str) -> Failure:
    return Failure(what, why=why, then="mend that and repeat the command")
