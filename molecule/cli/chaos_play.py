"""One run of `molecule chaos` from its first line to its last, and healing what one has left.

What must stay true: whatever ends a run, what it broke is healed before the command returns.
"""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from molecule import __version__
from molecule.chaos import asking, healing
from molecule.chaos.asking import Site
from molecule.chaos.faults import NotHealed
from molecule.chaos.healing import Busy, Sheet, Unhealed
from molecule.chaos.history import FILE, Recording
from molecule.chaos.means import Means, Members
from molecule.chaos.records import Header
from molecule.chaos.run import Order, Run
from molecule.cli import output
from molecule.cli.calls import Call, Cluster
from molecule.cli.context import Context
from molecule.cli.failures import Failure
from molecule.cli.local import LocalCluster
from molecule.demo.interrupts import Interrupts

ENVIRONMENT: Final = "molecule-chaos"
PROCESS: Final = "molecule-chaos"
_FILES: Final = {
    f"processes/{PROCESS}.yaml": (
        f"molecule: 1\nprocess: {PROCESS}\ntrigger: {{type: manual}}\n"
        "steps:\n  - {id: answer, type: map, to: {asked: $}}\n"
    ),
    f"environments/{ENVIRONMENT}.yaml": f"environment: {ENVIRONMENT}\n",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster that a run breaks, and what it breaks it with."""

    context: Context
    local: LocalCluster | None
    means: Means
    members: Members
    cluster: str


def deploy(cluster: Cluster) -> None:
    """The process of our own, in an environment of its own."""
    cluster.ask(
        Call(
            f"deploy the process {PROCESS}",
            "POST",
            "/api/v1/apply",
            query={"environment": ENVIRONMENT},
            body={"files": _FILES},
        )
    )


def play(stage: Stage, order: Order, folder: Path) -> int | None:
    """The signal that ended the run before its time, if one did."""
    interrupts = Interrupts(lambda: _say("stopping; what is broken is healed first"))

    async def played(recording: Recording, sheet: Sheet) -> None:
        with interrupts.cancelling():
            async with asking.client(stage.context) as http:
                site = Site(stage.context.urls, http)
                one = Run(
                    order,
                    site=site,
                    local=stage.local,
                    means=stage.means,
                    recording=recording,
                    sheet=sheet,
                    say=_say,
                )
                await one.play(stage.members.nodes)

    try:
        with (
            Sheet(healing.place(stage.context.source)) as sheet,
            (folder / FILE).open("x", encoding="utf-8") as file,
        ):
            recording = Recording(file)
            _declare(recording, order, stage)
            try:
                asyncio.run(played(recording, sheet))
            except (asyncio.CancelledError, KeyboardInterrupt):
                recording.close(interrupted=True)
                return int(interrupts.first or signal.SIGINT)
            recording.close(interrupted=False)
    except Busy as error:
        raise Failure("no run can begin", why=str(error), then="wait for it to end") from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    except ExceptionGroup as errors:
        # Of the clients, when the disk is full; all is healed by now.
        found, others = errors.split(OSError)
        if found is None or others is not None:
            raise
        raise _unwritable(folder, *found.exceptions) from None
    finally:
        if healing.place(stage.context.source).exists():
            _say("something is not healed yet; try again with: molecule chaos heal")
    return None


def _say(text: str) -> None:
    """To the person, if anybody is there: a terminal that is closed must not end the healing."""
    with contextlib.suppress(OSError):
        output.talk(text)


def _unwritable(folder: Path, *errors: BaseException) -> Failure:
    return Failure(
        f"the record in {folder} cannot be written", why="; ".join(str(error) for error in errors)
    )


def _declare(recording: Recording, order: Order, stage: Stage) -> None:
    recording.add(
        Header,
        seed=order.seed,
        software=__version__,
        cluster=stage.cluster,
        nodes=stage.members.nodes,
        voters=stage.members.voters,
        process=order.work.process,
        environment=order.work.environment,
        minutes=order.minutes,
        faults=tuple(kind.value for kind in order.kinds),
    )


def heal_left(asked: Context, local: LocalCluster | None) -> bool:
    """Heal what an earlier run left; True when there was something."""
    path = healing.place(asked.source)
    try:
        faults = healing.left(path)
    except Busy as error:
        raise Failure(
            "what an earlier run left cannot be healed now",
            why=str(error),
            then=f"wait for it to end; if nothing runs, look into {path} and remove it",
        ) from None
    if faults is None:
        return False
    try:
        asyncio.run(_heal_all(asked, local, faults))
    except* NotHealed as errors:
        raise Failure(
            "what an earlier run left is not healed",
            why="\n".join(str(error) for error in errors.exceptions),
            then=f"mend the nodes by hand and remove {path}",
        ) from None
    path.unlink(missing_ok=True)
    return bool(faults)


async def _heal_all(
    asked: Context, local: LocalCluster | None, faults: tuple[Unhealed, ...]
) -> None:
    failed = []
    async with asking.client(asked) as http:
        site = Site(asked.urls, http)
        for fault in faults:
            named = f"{fault.kind} at {' '.join(fault.nodes)}"
            try:
                await healing.heal(fault, site, local)
                output.talk(f"healed: {named}, left by an earlier run")
            except NotHealed as error:
                failed.append(NotHealed(f"{named}: {error}"))
    if failed:
        raise ExceptionGroup("left by an earlier run", failed)
