"""The file beside the context that says what is broken on purpose right now, and by whom.

It is written before a fault is made and outlives a run that is killed: the next run, or
`molecule chaos heal`, heals from it. What must stay true: one run at a time breaks a cluster, and
no fault is made that this file does not know.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from molecule.chaos import foreign, means, processes
from molecule.chaos.asking import Site
from molecule.chaos.faults import NotHealed
from molecule.cli import local_process
from molecule.cli.local import LocalCluster
from molecule.cli.local_process import ProcessMark


class Busy(Exception):
    """Another run breaks this cluster at the moment; or the file cannot be used."""


@dataclass(frozen=True, slots=True)
class Unhealed:
    """A fault that was begun and not healed yet, with all that healing takes."""

    fault: int
    kind: str
    nodes: tuple[str, ...]
    by: str
    end: tuple[str, ...] = ()
    """The command of a hook."""
    timeout_s: float = 0.0


def place(source: str) -> Path:
    """Where the file of a context is."""
    context = Path(source)
    return context.with_name(f"{context.name}.chaos-unhealed")


class Sheet:
    """The file, while a run holds it. Use as a context manager; left empty, it goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[int, Unhealed] = {}

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise Busy(f"{self.path} is there: another run began just now") from None
        except OSError as error:
            raise Busy(f"{self.path} cannot be written: {error.strerror}") from None
        os.close(descriptor)
        self._write()
        return self

    def __exit__(self, *_error: object) -> None:
        if not self._open:
            self.path.unlink(missing_ok=True)

    def begin(self, fault: Unhealed) -> None:
        """Before the fault is made."""
        self._open[fault.fault] = fault
        self._write()

    def healed(self, fault: int) -> None:
        """The fault is no more."""
        self._open.pop(fault, None)
        self._write()

    def _write(self) -> None:
        mark = local_process.own()
        told = {
            "run": {"pid": mark.pid, "started_ticks": mark.started_ticks},
            "faults": [asdict(fault) for fault in self._open.values()],
        }
        fresh = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(told, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def left(path: Path) -> tuple[Unhealed, ...] | None:
    """What a run left that is over; None when there is no file. `Busy` while it goes on."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Busy(f"{path} cannot be read: {error.strerror}") from None
    if not text:
        return ()  # Its run was killed before it wrote anything, and so before any fault.
    try:
        told = json.loads(text)
        mark = ProcessMark(told["run"]["pid"], told["run"]["started_ticks"])
        faults = tuple(_unhealed(each) for each in told["faults"])
    except (ValueError, KeyError, TypeError) as error:
        raise Busy(f"{path} is damaged: {type(error).__name__}: {error}") from None
    if local_process.is_running(mark):
        raise Busy(f"process {mark.pid} breaks this cluster at the moment")
    return faults


async def heal(fault: Unhealed, site: Site, local: LocalCluster | None) -> None:
    """Heal what another run has left; `NotHealed` when that does not work."""
    if fault.by == means.HOOK:
        await foreign.run_ends(fault.end, fault.nodes, timeout_s=fault.timeout_s)
        await foreign.until_up(site, fault.nodes)
    elif local is None:
        raise NotHealed(f"the local cluster with {' '.join(fault.nodes)} is not there any more")
    else:
        await processes.revive(local, fault.nodes)


def _unhealed(told: Mapping[str, Any]) -> Unhealed:
    return Unhealed(
        fault=int(told["fault"]),
        kind=str(told["kind"]),
        nodes=tuple(str(node) for node in told["nodes"]),
        by=str(told["by"]),
        end=tuple(str(argument) for argument in told["end"]),
        timeout_s=float(told["timeout_s"]),
    )
