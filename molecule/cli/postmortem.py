"""`molecule cluster postmortem`: what the loss of a node was known by and what it cost."""

from typing import Annotated, Any, Final

from cyclopts import Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import SHARED, Shared
from molecule.model import reasons

_PATH: Final = "/api/v1/cluster/postmortems"
_COLUMNS: Final = (
    "id",
    "at_ms",
    "reason",
    "moved",
    "steps_repeated",
    "effects_in_doubt",
    "late_words_refused",
    "index",
)


def postmortem(
    id_: Annotated[str, Parameter(help="NODE.INCARNATION; without it all are listed.")] = "",
    *,
    last: Annotated[bool, Parameter(help="The newest one.")] = False,
    shared: Shared = SHARED,
) -> None:
    """Tell what the loss of a node was known by and what it cost."""
    path = f"{_PATH}/{id_}" if id_ else _PATH
    with shared.cluster() as cluster:
        told = cluster.ask(Call("show post-mortems", "GET", path)).value
    if last and not id_:
        if not told["items"]:
            output.talk("no node was lost")
            return
        told = told["items"][0]
    if shared.output != "table" or "items" in told:
        output.show(told, form=shared.output, columns=_COLUMNS)
        return
    output.facts(_facts(told))


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    evidence = [reasons.told(told["reason"]), told["evidence"]]
    shown = {
        "post-mortem": told["id"],
        "lost_at_ms": told["at_ms"],
        "log index": told["index"],
        "evidence": "; ".join(text for text in evidence if text),
        "silent for": _ms(told["silent_for_ms"]),
        "executions moved": told["moved"],
        "steps repeated": told["steps_repeated"],
        "effects in doubt": told["effects_in_doubt"],
        "late words refused": told["late_words_refused"],
        "without leader": _ms(told["without_leader_ms"]) if told["led"] else "it did not lead",
    }
    if told["executions"]:
        shown["executions"] = told["executions"]
    return shown


def _ms(value: int) -> str:
    return f"{value} ms" if value else "not known"
