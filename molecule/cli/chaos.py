"""`molecule chaos`: break a cluster of one's own on purpose, and tell what that showed."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from molecule.chaos import means
from molecule.chaos.asking import Work
from molecule.chaos.faults import ABOUT
from molecule.chaos.figures import figures
from molecule.chaos.history import FILE, BrokenHistory, History
from molecule.chaos.means import Members
from molecule.chaos.page import page
from molecule.chaos.run import Order
from molecule.cli import chaos_guard, chaos_play, context, output
from molecule.cli.calls import Call, Cluster
from molecule.cli.chaos_play import Stage
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.options import SHARED, Shared

app = App(name="chaos", help="Break a cluster on purpose and see what holds. Not for production.")

_COLUMNS: Final = ("fault", "possible", "by", "nodes", "is", "why")
_CODES: Final = {
    "kept": ExitCode.DONE,
    "broken": ExitCode.FAILED,
    "proves nothing": ExitCode.OUTCOME_UNKNOWN,
}

LoseMajority = Annotated[
    bool, Parameter(help="Harm more voters at once than the cluster can lose, too.")
]


@app.command(name="list")
def list_(*, lose_majority: LoseMajority = False, shared: Shared = SHARED) -> None:
    """List which faults can be made from here, by what, and why others cannot."""
    asked = context.find(shared.context, start=Path.cwd())
    local = chaos_guard.local_cluster(asked)
    found = chaos_guard.here(asked, local, lose_majority=lose_majority)
    with Cluster(asked) as cluster:
        members = Members.told(_status(cluster))
    rows = [
        {
            "fault": option.kind.value,
            "possible": option.is_possible,
            "by": option.by,
            "nodes": list(option.nodes),
            "is": ABOUT[option.kind],
            "why": option.why,
        }
        for option in means.options(found, members)
    ]
    output.show({"items": rows}, form=shared.output, columns=_COLUMNS)


@app.command
def run(
    *,
    minutes: Annotated[
        float, Parameter(help="How long faults are made, each kind once at least. Default: 5.")
    ] = 5.0,
    seed: Annotated[
        int | None, Parameter(help="Gives the same order of faults again. Default: a new one.")
    ] = None,
    faults: Annotated[str, Parameter(help="Kinds, as `kill,freeze`. Default: all of `list`.")] = "",
    out: Annotated[Path | None, Parameter(help="For the record. Default: chaos-SEED.")] = None,
    process: Annotated[
        str, Parameter(help="What to submit. Default: a process of its own, which is deployed.")
    ] = "",
    environment: Annotated[str, Parameter(help="Where --process is deployed.")] = "",
    input_: Annotated[
        str, Parameter(name="--input", help="JSON, the input of each submission of --process.")
    ] = "",
    lose_majority: LoseMajority = False,
    production: Annotated[
        bool, Parameter(help="For a context that is marked so, with --cluster.")
    ] = False,
    cluster: Annotated[str, Parameter(help="The cluster's name, typed to be sure.")] = "",
    shared: Shared = SHARED,
) -> int:
    """Submit work, make faults one after another, heal them, and judge what came of it.

    Exit code 0: every promise kept and every fault confirmed; 1: a promise broke; 3: the run proves
    nothing, for too little happened or a fault was not seen to work.
    """
    chaos_guard.minutes(minutes)
    work = _work(process, environment, input_)
    asked = context.find(shared.context, start=Path.cwd())
    local = chaos_guard.local_cluster(asked)
    chaos_guard.read_hooks(asked)
    # Healing comes first: an earlier run may have left a cluster that answers nothing.
    chaos_play.heal_left(asked, local)
    found = chaos_guard.here(asked, local, lose_majority=lose_majority)
    with Cluster(asked) as there:
        status = _status(there)
        chaos_guard.allowed(asked, status, production=production, named=cluster)
        members = Members.told(status)
        kinds = chaos_guard.chosen(faults, found, members)
        chosen_seed = seed if seed is not None else secrets.randbits(32)
        if process:
            there.ask(Call(f"show {process}", "GET", f"/api/v1/processes/{process}"))
        folder = chaos_guard.fresh_folder(out, chosen_seed)
        if not process:
            chaos_play.deploy(there)
    down = sorted(_down(status))
    if down:
        output.talk(f"down already, and left alone: {', '.join(down)}")
    order = Order(chosen_seed, minutes, kinds, work)
    output.talk(f"seed {chosen_seed}; faults {', '.join(kinds)}; the record goes to {folder}")
    stage = Stage(asked, local, found, members, str(status.get("cluster", "")))
    stopped = chaos_play.play(stage, order, folder)
    code = _show(_figures(folder), shared)
    if stopped is not None:
        return 128 + stopped
    output.talk(f"next: molecule chaos report {folder}")
    return code


@app.command
def report(folder: Path, *, shared: Shared = SHARED) -> int:
    """Write report.json and report.html of a run beside its history, and tell the verdict.

    Exit codes are those of `run`.
    """
    told = _figures(folder)
    try:
        text = json.dumps(told, indent=2, ensure_ascii=False)
        (folder / "report.json").write_text(f"{text}\n", encoding="utf-8")
        (folder / "report.html").write_text(page(told), encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"the report cannot be written to {folder}", why=error.strerror or str(error)
        ) from None
    output.talk(f"written: {folder / 'report.json'}, {folder / 'report.html'}")
    return _show(told, shared)


@app.command
def heal(*, shared: Shared = SHARED) -> None:
    """Heal what a run that was killed has left broken."""
    asked = context.find(shared.context, start=Path.cwd())
    if not chaos_play.heal_left(asked, chaos_guard.local_cluster(asked)):
        output.talk("nothing is left to heal")


def _status(cluster: Cluster) -> dict[str, Any]:
    call = Call("show the cluster", "GET", "/api/v1/cluster", query={"fresh": "true"})
    value = cluster.ask(call).value
    return value if isinstance(value, dict) else {}


def _down(status: dict[str, Any]) -> set[str]:
    rows = [row for row in status.get("nodes") or () if isinstance(row, dict)]
    return {str(row.get("id")) for row in rows if row.get("up") is not True}


def _work(process: str, environment: str, given: str) -> Work:
    if not process:
        if environment or given:
            raise chaos_guard.refused(
                "--environment and --input go with --process",
                then="name the process, or leave them out",
            )
        return Work(chaos_play.PROCESS, chaos_play.ENVIRONMENT, {"from": "molecule chaos"})
    if not environment:
        raise chaos_guard.refused(
            f"--process {process} names no environment", then="add --environment"
        )
    try:
        return Work(process, environment, json.loads(given) if given else None)
    except ValueError as error:
        raise chaos_guard.refused("--input is not JSON", why=str(error)) from None


def _figures(folder: Path) -> dict[str, Any]:
    try:
        return figures(History.read(folder / FILE))
    except OSError as error:
        raise chaos_guard.refused(
            f"there is no history of a run in {folder}",
            why=f"{folder / FILE}: {error.strerror}",
            then="name the folder that `molecule chaos run` told",
        ) from None
    except BrokenHistory as error:
        raise Failure(f"the history in {folder} cannot be judged", why=str(error)) from None


def _show(told: dict[str, Any], shared: Shared) -> int:
    """The verdict for people or programs; its exit code."""
    code = _CODES[told["verdict"]]
    if shared.output != "table":
        output.show(told, form=shared.output)
        return code
    faults = told["faults"]
    outages = [fault["outage_ms"] for fault in faults]
    summary = {
        "verdict": told["verdict"],
        "seed": told["seed"],
        "faults": f"{len(faults)}, {sum(fault['confirmed'] for fault in faults)} confirmed",
        "longest_outage": f"{max(outages):,} ms" if outages else "-",
        "acknowledged": told["acknowledged"],
        "answers": told["answers"],
        "ended": told["ended"],
    }
    output.facts(summary)
    for text in told["violations"]:
        output.talk(f"broken: {text}")
    for text in told["lacks"]:
        output.talk(f"proves nothing: {text}")
    return code
