"""What `molecule chaos` asks before it breaks anything: is it this cluster, and may it be broken.

What must stay true: a context that somebody marked as production is never broken on one word.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from molecule.chaos import hooks, means
from molecule.chaos.faults import Kind
from molecule.chaos.history import FILE
from molecule.chaos.hooks import Hooks, WrongHooks
from molecule.chaos.means import Means, Members, Option
from molecule.cli import local_files
from molecule.cli.context import Context
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.local import LocalCluster

_NAMES: Final = tuple(kind.value for kind in Kind)


def refused(what: str, *, why: str = "", then: str = "") -> Failure:
    """Wrong usage."""
    return Failure(what, why=why, then=then, code=ExitCode.WRONG_USAGE)


def allowed(context: Context, status: dict[str, Any], *, production: bool, named: str) -> None:
    """Refuse a production environment unless told twice, and a name that is another cluster's."""
    cluster = str(status.get("cluster", ""))
    if named and named != cluster:
        raise refused(
            f"this is the cluster {cluster}, not {named}",
            why=f"{context.source} leads there",
            then="name the file of the cluster that is meant with --context",
        )
    if context.is_production and not (production and named):
        raise refused(
            f"the cluster {cluster} is marked as production",
            why=f"`production` is true in {context.source}",
            then=f"to break it all the same, give both --production and --cluster {cluster}",
        )


def minutes(asked: float) -> None:
    """A length of time that a run can have."""
    if not math.isfinite(asked) or asked <= 0:
        raise refused(
            f"--minutes {asked:g} is no length of time",
            then="give a number of minutes above 0, such as --minutes 5 or --minutes 0.5",
        )


def local_cluster(context: Context) -> LocalCluster | None:
    """The nodes on this machine that were started from the context's folder, if there are any."""
    folder = Path(context.source).resolve().parent
    return LocalCluster.at(folder) if local_files.exists(folder) else None


def read_hooks(context: Context) -> Hooks:
    """Those of the context."""
    try:
        return hooks.read(context.chaos)
    except WrongHooks as error:
        raise refused(
            f"the context {context.source} cannot be used",
            why=str(error),
            then="see the section about hooks in docs/chaos.md",
        ) from None


def here(context: Context, local: LocalCluster | None, *, lose_majority: bool) -> Means:
    """What there is to make faults with."""
    running = _running(context, local) if local is not None else frozenset()
    return Means(running, read_hooks(context), lose_majority=lose_majority)


def _running(context: Context, local: LocalCluster) -> frozenset[str]:
    """Nodes of this folder that run and are of the context's cluster.

    A context that was edited may lead to another cluster, with nodes of the same names.
    """
    ours = [node for node in local.place.nodes if node.url in context.urls]
    if not ours:
        return frozenset()
    worker_nodes = [node for node in local.place.nodes if node.role == "worker"]
    return frozenset(node.id for node in (*ours, *worker_nodes) if local.mark(node) is not None)


def chosen(asked: str, found: Means, members: Members) -> tuple[Kind, ...]:
    """The kinds that `--faults` names, else all that can be made; refused when one cannot be."""
    there = {option.kind: option for option in means.options(found, members)}
    if not asked:
        possible = tuple(kind for kind, option in there.items() if option.is_possible)
        if possible:
            return possible
        raise Failure(
            "no fault can be made from here",
            why=_reasons(list(there.values())),
            then="run it beside a cluster of `molecule up`, or write hooks: docs/chaos.md",
        )
    names = [name.strip() for name in asked.split(",")]
    strange = [name for name in names if name not in _NAMES]
    if strange:
        raise refused(
            f"there is no fault {strange[0]!r}",
            then=f"choose from: {', '.join(_NAMES)}",
        )
    kinds = tuple(dict.fromkeys(Kind(name) for name in names))
    impossible = [there[kind] for kind in kinds if not there[kind].is_possible]
    if impossible:
        raise refused(
            f"{', '.join(option.kind for option in impossible)} cannot be made from here",
            why=_reasons(impossible),
            then="see: molecule chaos list",
        )
    return kinds


def fresh_folder(out: Path | None, seed: int) -> Path:
    """Where the record of a run goes; one that holds a history already is refused."""
    folder = out if out is not None else Path(f"chaos-{seed}")
    if (folder / FILE).exists():
        raise refused(
            f"{folder} holds the history of an earlier run",
            then="give another folder with --out, or move that one away",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(
            f"{folder} cannot be made",
            why=error.strerror or str(error),
            then="give another folder with --out",
        ) from None
    return folder


def _reasons(impossible: Sequence[Option]) -> str:
    return "\n".join(f"{option.kind}: {option.why}" for option in impossible)
