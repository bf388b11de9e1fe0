"""What an agent holds, and what it asks its shell to do. Values of `agent_rounds.py`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from molecule.node.seats import Seat
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
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
    health: w.TriggerHealth | None = None
    """As its worker told it last; of this assignment, whichever worker ran it."""


HeldTriggers = Mapping[TriggerName, HeldTrigger]


def triggers_for_leader(held: HeldTriggers) -> list[p.Heartbeat.HeldTrigger]:
    """The triggers of a node as a heartbeat names them."""
    return [
        p.Heartbeat.HeldTrigger(
            environment=place, process=process, token=one.run.token, health=one.health
        )
        for (place, process), one in held.items()
    ]


def note_triggers(held: HeldTriggers, worker: str, told: Iterable[w.TriggerStatus]) -> None:
    """Keep what a worker tells of the triggers it was given.

    A worker that has just begun knows less than the one before it told.
    """
    for status in told:
        one = held.get((status.environment, status.process))
        if one is None or (one.worker, one.run.token) != (worker, status.token):
            continue
        health, before = status.health, one.health or w.TriggerHealth()
        health.succeeded_at_ms = max(health.succeeded_at_ms, before.succeeded_at_ms)
        if not health.failed_at_ms:
            health.failed_at_ms, health.error = before.failed_at_ms, before.error
        one.health = health


def trigger_failures(held: HeldTriggers) -> dict[str, int]:
    """Failures in a row by process; of one in several environments those of the worst."""
    failures: dict[str, int] = {}
    for (_, process), one in held.items():
        here = one.health.failures if one.health is not None else 0
        failures[process] = max(here, failures.get(process, 0))
    return failures


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
