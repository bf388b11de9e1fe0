"""`molecule retention`: what is kept, how full the disks are, and purging."""

from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.options import SHARED, Shared, confirm, milliseconds

app = App(name="retention", help="Look at what is kept of ended executions, and purge it.")

_PATH: Final = "/api/v1/retention"
_CLASSES: Final = ("class", "kept_ms", "bytes_max", "rows", "bytes", "horizon_at_ms")
_DISKS: Final = ("node", "used_percent", "available_bytes", "total_bytes", "reserve_held_bytes")
_PLANNED: Final = ("class", "before_at_ms", "executions")


@app.command
def show(*, shared: Shared = SHARED) -> None:
    """Show what each class keeps and takes on the answering node, and how full disks are."""
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("show retention", "GET", _PATH)).value
    if shared.output != "table":
        output.show(answer, form=shared.output)
        return
    where = f" ({answer['fullest_node']})" if answer["fullest_node"] else ""
    output.talk(f"room: {answer['level']}{where}")
    output.table([*answer["classes"], *answer["never_purged"]], _CLASSES)
    output.table(answer["disks"], _DISKS)


@app.command
def purge(
    *,
    retention_class: Annotated[
        str,
        Parameter(
            name="--class",
            help="Only this class: `completed_documents`, `failed_documents`, `timelines`, "
            "`history`; several separated by commas. Default: all.",
        ),
    ] = "",
    older_than: Annotated[
        str,
        Parameter(help="What ended longer ago: `7d`, `12h`. Default: each class's own time."),
    ] = "",
    plan: Annotated[bool, Parameter(help="Only tell what would be purged.")] = False,
    yes: Annotated[bool, Parameter(help="Do not ask.", negative="")] = False,
    shared: Shared = SHARED,
) -> None:
    """Purge what ended long ago; what waits for a person, and dead letters, stay."""
    body: dict[str, Any] = {"plan": plan}
    if retention_class:
        body["classes"] = [name.strip() for name in retention_class.split(",")]
    if older_than:
        body["older_than_ms"] = milliseconds(older_than, "--older-than")
    what = retention_class or "all classes"
    ended = f"ended more than {older_than} ago" if older_than else "is older than it is kept"
    confirm(f"Purge for good what {ended} ({what})?", is_sure=yes or plan)
    with shared.cluster() as cluster:
        answer = cluster.ask(Call("purge", "POST", f"{_PATH}/purge", body=body)).value
    if shared.output != "table":
        output.show(answer, form=shared.output)
        return
    output.talk("would be purged:" if plan else "purged; the rows are deleted in the background:")
    output.table(answer["classes"], _PLANNED)
