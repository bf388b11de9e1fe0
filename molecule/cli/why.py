"""`molecule why`: why an execution is where it is, or what an error code means."""

import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, Final

from cyclopts import Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import SHARED, Shared
from molecule.model import errors, failure_codes, reasons
from molecule.model.errors import MoleculeError

_WIDTH: Final = 96


def why(
    what: Annotated[
        str,
        Parameter(help="Id of an execution, or a code of an error, a step or a reason: `too_old`."),
    ],
    *,
    shared: Shared = SHARED,
) -> None:
    """Tell why an execution is where it is, citing the log, or what a code means."""
    meaning = meaning_of(what)
    if meaning is not None:
        output.show(meaning, form=shared.output)
        return
    call = Call(f"explain {what}", "GET", f"/api/v1/executions/{what}/why")
    with shared.cluster() as cluster:
        told = cluster.ask(call).value
    if shared.output != "table":
        output.show(told, form=shared.output)
        return
    print(f"{told['execution']} is {told['state']}")
    for answer in told["answers"]:
        _print(answer)
    if told["incomplete"]:
        output.talk(told["incomplete"])


def _print(answer: dict[str, Any]) -> None:
    source = "log" if answer["decided"] else "now"
    head = f"{answer['question']:<9} {source} {answer['index']:<8} "
    body = textwrap.fill(
        answer["text"],
        width=_WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    print(body)


def meaning_of(code: str) -> dict[str, Any] | None:
    """What a code means: of an error of a request, of a step, of a decision; None: none of these.

    One that is several of these tells each; the meaning in a step then has a name of its own.
    """
    meaning: dict[str, Any] = {}
    for kind in _kinds(MoleculeError):
        if kind.code == code:
            meaning = {
                "means": " ".join((kind.__doc__ or "").split()),
                "http": kind.http,
                "retryable": kind.retryable,
                "definite": kind.definite,
                "then": errors.ADVICE[_family(kind)],
            }
            break
    failure = failure_codes.told(code)
    if failure is not None and meaning:
        meaning |= {"of_a_step": failure[0], "of_a_step_then": failure[1]}
    elif failure is not None:
        meaning = {"means": failure[0], "then": failure[1]}
    if code in reasons.TEXTS:
        meaning["of_a_decision" if meaning else "means"] = reasons.TEXTS[code]
    return {"code": code, **meaning} if meaning else None


def _kinds(root: type[MoleculeError]) -> Iterator[type[MoleculeError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _family(kind: type[MoleculeError]) -> str:
    """The code of the nearest kind above it for which there is advice."""
    return next(
        above.code
        for above in kind.__mro__
        if issubclass(above, MoleculeError) and above.code in errors.ADVICE
    )
