"""`molecule up` and `molecule down`: the commands; `local.py` does the work."""

import asyncio
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from molecule.cli import local, output
from molecule.cli.failures import Failure
from molecule.cli.local import LocalError

FOLDER: Final = Path(".molecule")
"""Where commands look for a context by themselves."""


def up(
    *,
    folder: Annotated[
        Path,
        Parameter(
            help="Where certificates and data are kept; a cluster found there goes on. "
            "Default: .molecule"
        ),
    ] = FOLDER,
    nodes: Annotated[int, Parameter(help="Nodes of a new cluster: 1, 3 (default), 5 or 7.")] = 3,
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
    try:
        asyncio.run(
            local.up(
                folder,
                nodes=nodes,
                worker_nodes=worker_nodes,
                first_port=first_port,
                timing_profile=timing_profile,
                say=output.talk,
            )
        )
    except LocalError as error:
        raise _failed("the cluster did not start", error) from None


def down(*, folder: Annotated[Path, Parameter(help="The folder given to `up`.")] = FOLDER) -> None:
    """Stop the cluster of this machine; its data is kept."""
    try:
        asyncio.run(local.down(folder, say=output.talk))
    except LocalError as error:
        raise _failed("the cluster was not stopped", error) from None


def _failed(what: str, error: LocalError) -> Failure:
    return Failure(what, why=str(error), then="mend that and repeat the command")
