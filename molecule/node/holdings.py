"""What an agent holds, and what it asks its shell to do. Values of `agent_rounds.py`."""

from dataclasses import dataclass, field

from molecule.node.seats import Seat
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w

TriggerName = tuple[str, str]
"""Environment and process: a process has one trigger."""


@dataclass(slots=True)
class Held:
    """An assignment of this node; `worker` is None while none is ready."""

    run: w.RunExecution
    worker: str | None = None
    running_step: str = ""


@dataclass(slots=True)
class HeldTrigger:
    """A trigger that this node was told to run."""

    run: w.RunTrigger
    worker: str | None = None


@dataclass(slots=True)
class AgentOutbox:
    """What the shell must do now, in this order."""

    start_workers: list[tuple[str, int]] = field(default_factory=list)
    """Each with the bytes of memory it may have."""
    kill_workers: list[str] = field(default_factory=list)
    to_workers: list[tuple[str, w.ToWorker]] = field(default_factory=list)
    groups: list[list[c.Command]] = field(default_factory=list)
    """Each to be proposed until it has an outcome."""
    register: bool = False
    fatal: str | None = None


def death_report(seat: Seat, lost: list[Held], *, charges: bool) -> c.ReportWorkerDeath:
    """What a worker that died, or lost something, takes with it; with steps if they are charged."""
    report = c.ReportWorkerDeath(
        worker=seat.worker, cause=seat.cause, memory_bytes=seat.memory_bytes
    )
    for held in lost:
        # In a worker of its own nothing else can be to blame, also between two steps.
        step = held.running_step or ("" if seat.is_shared else "between steps")
        report.held.add(
            execution=held.run.execution,
            token=held.run.token,
            running_step=step if charges else "",
            alone=not seat.is_shared,
        )
    return report
