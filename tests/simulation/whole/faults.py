"""Faults that only whole nodes can have, beside those of `tests.simulation.faults`."""

import enum
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tests.simulation.faults import Fault, FaultKind
from tests.simulation.host import Host, ProcessState
from tests.simulation.strikes import Scene, choose
from tests.simulation.whole.machine import Machine
from tests.simulation.whole.target import Mood, Target


class WholeKind(enum.Enum):
    """What else can go wrong; the names appear in fault lists."""

    KILL_TREE = "kill_tree"
    KILL_WORKER = "kill_worker"
    FREEZE_NODE = "freeze_node"
    FREEZE_WORKERS = "freeze_workers"
    TARGET_SLOW = "target_slow"
    TARGET_BUSY = "target_busy"
    TARGET_MUTE = "target_mute"


LINKS = (
    FaultKind.ISOLATE,
    FaultKind.HALVES,
    FaultKind.BRIDGE,
    FaultKind.ONE_WAY,
    FaultKind.FLAP,
    FaultKind.RESET,
    FaultKind.SLOW_LINK,
)
DISKS = (
    FaultKind.POWER_LOSS,
    FaultKind.POWER_LOSS_MANY,
    FaultKind.KILL_IN_WRITE,
    FaultKind.SLOW_DISK,
    FaultKind.SYNC_ERROR,
    FaultKind.DISK_FULL,
)
PROCESSES = (FaultKind.KILL, FaultKind.PAUSE, FaultKind.PAUSE_MANY)
KINDS = (*PROCESSES, *LINKS, *DISKS, *WholeKind)
"""Not drift: clocks that differ by more than the margin of a lease are outside of the promise."""


class Whole(Scene, Protocol):
    """The parts of a whole world that these faults may touch."""

    machines: dict[str, Machine]
    target: Target

    def lose_tree(self, host: Host, restart_s: float) -> None:
        """Kill the supervisor and all below it, and start them again later."""


Strike = Callable[[Whole, Fault, random.Random], bool]


def strike(scene: Whole, fault: Fault) -> bool:
    """Do one of these faults to the world and plan its end; no when it found nothing to break."""
    did = _STRIKES[fault.kind](scene, fault, random.Random(fault.salt))  # type: ignore[index]
    scene.reach_changed()
    return did


def _kill_tree(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    scene.lose_tree(host, fault.seconds * rng.choice((0.2, 1.0)))
    return True


def _kill_worker(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    machines = [machine for machine in scene.machines.values() if machine.workers]
    return bool(machines) and rng.choice(machines).kill_worker(rng)


def _freeze_node(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    """Supervisor, node process and workers, as when a machine is suspended."""
    host = choose(scene, fault, rng)
    if host is None or host.state is not ProcessState.RUNNING:
        return False
    machine = scene.machines[host.name]
    host.stop()
    machine.freeze()
    stopped = machine.stop_workers()

    def resume() -> None:
        order: list[Callable[[], None]] = [machine.thaw, host.resume]
        order += [partial(machine.resume_worker, worker) for worker in stopped]
        rng.shuffle(order)
        for action in order:
            action()
        scene.reach_changed()

    scene.undo_after(_long(fault, rng), resume)
    return True


def _freeze_workers(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    machines = [machine for machine in scene.machines.values() if machine.workers]
    if not machines:
        return False
    machine = rng.choice(machines)
    stopped = machine.stop_workers()

    def resume() -> None:
        for worker in stopped:
            machine.resume_worker(worker)

    scene.undo_after(_long(fault, rng), resume)
    return bool(stopped)


def _long(fault: Fault, rng: random.Random) -> float:
    """Some of them longer than a lease, whatever the pace of the run."""
    return rng.choice((fault.seconds, fault.seconds, 3.0, 6.0))


def _target_slow(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    return _mood(scene, fault, Mood(slow=rng.choice((0.3, 1.0))))


def _target_busy(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    return _mood(scene, fault, Mood(refuses=rng.choice((0.3, 1.0))))


def _target_mute(scene: Whole, fault: Fault, rng: random.Random) -> bool:
    return _mood(scene, fault, Mood(mute=rng.choice((0.3, 1.0))))


def _mood(scene: Whole, fault: Fault, mood: Mood) -> bool:
    scene.target.mood = mood

    def mend() -> None:
        if scene.target.mood is mood:
            scene.target.mood = Mood()

    scene.undo_after(fault.seconds, mend)
    return True


_STRIKES: dict[WholeKind, Strike] = {
    WholeKind.KILL_TREE: _kill_tree,
    WholeKind.KILL_WORKER: _kill_worker,
    WholeKind.FREEZE_NODE: _freeze_node,
    WholeKind.FREEZE_WORKERS: _freeze_workers,
    WholeKind.TARGET_SLOW: _target_slow,
    WholeKind.TARGET_BUSY: _target_busy,
    WholeKind.TARGET_MUTE: _target_mute,
}
