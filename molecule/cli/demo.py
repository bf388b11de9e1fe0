"""`molecule demo`: run it, tell how it went, end with 1 when anything was lost or doubled."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console

from molecule.cli.local import LocalError
from molecule.cli.waiting import NotInTime
from molecule.demo import report as reports
from molecule.demo.interrupts import Interrupts
from molecule.demo.report import Report
from molecule.demo.run import Demo
from molecule.demo.view import View

FOLDER: Final = Path(".molecule/demo")


def demo(
    *,
    folder: Annotated[Path, Parameter(help="Where it runs; an earlier run there goes.")] = FOLDER,
    report: Annotated[Path | None, Parameter(help="JSON file for the counts.")] = None,
    plain: Annotated[bool, Parameter(help="Sentences instead of the live picture.")] = False,
) -> int:
    """Run the demo in `folder`, write the JSON file `report`; exit code 0 for a clean run."""
    talk = Console(stderr=True)
    view = View(plain=plain, console=talk)
    interrupts = Interrupts(lambda: view.say("stopping all that the demo started"))
    try:
        with view:
            told, against, seconds = asyncio.run(_run(Demo(folder, view), interrupts))
    except (KeyboardInterrupt, asyncio.CancelledError):
        with contextlib.suppress(OSError):
            talk.print("stopped; the nodes are down")
        return 128 + (interrupts.first or signal.SIGINT)
    except Exception as error:
        faults = list(_each(error))
        if not all(isinstance(each, (LocalError, NotInTime, OSError)) for each in faults):
            raise
        for each in faults:
            talk.print(f"molecule demo: {each}", style="red", highlight=False, markup=False)
        return 1
    if report is not None:
        report.write_text(told.json(), encoding="utf-8")
    for sentence in reports.sentences(told, seconds=seconds):
        talk.print(sentence, highlight=False, soft_wrap=True)
    for objection in against:
        talk.print(f"not clean: {objection}", style="red", highlight=False)
    if not against:
        talk.print("clean: every execution finished exactly once", style="green")
    return 1 if against else 0


async def _run(run: Demo, interrupts: Interrupts) -> tuple[Report, list[str], float]:
    with interrupts.cancelling():
        return await run.run()


def _each(error: Exception) -> Iterator[Exception]:
    """The errors of a group, however deep, or the error itself."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _each(inner)
    else:
        yield error
