"""`molecule execution`: what follows when one is parked or has ended: release, fail, retry."""

from typing import Annotated

from cyclopts import Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.execution import app
from molecule.cli.options import SHARED, Shared, confirm, given, idempotency_key

_PATH = "/api/v1/executions"

Id = Annotated[str, Parameter(help="Id of the execution.")]
Reason = Annotated[str, Parameter(help="Why; shown in its timeline.")]
Yes = Annotated[bool, Parameter(help="Do not ask.")]


@app.command
def release(
    execution: Id, *, reason: Reason = "", yes: Yes = False, shared: Shared = SHARED
) -> None:
    """Let a quarantined or held execution go on where it stopped, its crashes forgiven."""
    confirm(f"Release {execution}? If it kills workers, it will do so again.", is_sure=yes)
    _act(execution, "release", reason, shared)


@app.command
def fail(execution: Id, *, reason: Reason = "", yes: Yes = False, shared: Shared = SHARED) -> None:
    """Give up a parked execution: it ends FAILED."""
    confirm(f"Fail {execution}? What it has done outside stays done.", is_sure=yes)
    _act(execution, "fail", reason, shared)


@app.command
def retry(
    execution: Id,
    *,
    key: Annotated[
        str | None,
        Parameter(help="Idempotency key; retrying again with it gives the same execution."),
    ] = None,
    version: Annotated[
        str, Parameter(help="Content hash of a version; default: the active one.")
    ] = "",
    shared: Shared = SHARED,
) -> None:
    """Submit the input of an execution that has ended again, as a new execution."""
    call = Call(
        f"retry {execution}",
        "POST",
        f"{_PATH}/{execution}/retry",
        body=given(version=version),
        key=idempotency_key(key),
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)


def _act(execution: str, action: str, reason: str, shared: Shared) -> None:
    call = Call(
        f"{action} {execution}",
        "POST",
        f"{_PATH}/{execution}/{action}",
        body={"reason": reason},
        is_repeatable=False,
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    output.show(answer.value, form=shared.output)
