"""The guards of the execution contract, each of which can be taken away in the simulator alone.

A guard is taken away from outside, by putting something else in its place for one run; the product
has no switch for it. What must stay true: with a guard off some promise of `promises.py` breaks,
and never a check of the guard itself.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from molecule.cluster import (
    apply_executions,
    apply_submissions,
    losing,
    queues,
    tokens,
    transitions,
)
from molecule.cluster.execution import Execution
from molecule.cluster.outcome import Applied
from molecule.cluster.state import ClusterState
from molecule.worker.speaker import Speaker
from tests.simulation.faults import FaultKind
from tests.simulation.whole.faults import WholeKind

Off = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard, what takes it away, and the conditions under which it is needed."""

    name: str
    promise: str
    """What breaks without it, in words."""
    off: Off
    options: Mapping[str, Any] = field(default_factory=dict)
    whole: Mapping[str, Any] = field(default_factory=dict)
    raft_guards: Mapping[str, bool] = field(default_factory=dict)


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def _put(*places: tuple[object, str, Any]) -> Off:
    """Something else in these places."""

    @contextlib.contextmanager
    def replaced() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for owner, name, value in places:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
            yield

    return replaced


def _always(*_: object, **__: object) -> bool:
    return True


def _no_intents(self: Any, planned: Any, sequence: int) -> list[Any]:
    del self, planned, sequence
    return []


def _doubts_end_at_once(state: ClusterState, execution: Execution) -> int:
    del state, execution
    return 0


def _no_first_answer(state: Any, command: Any) -> None:
    del state, command


def _never_spent(execution: Any, death: Any, *, budget: int) -> bool:
    del execution, death, budget
    return False


def _cancel_nothing(state: Any, command: Any, changes: Any) -> Any:
    """What is assigned goes on."""
    execution = state.executions.get(command.execution)
    if execution is not None and execution.state.value == "ASSIGNED":
        return Applied()
    return _CANCEL(state, command, changes)


_CANCEL = apply_executions.cancel_execution


_FREEZES: Mapping[str, Any] = {
    "kinds": (WholeKind.FREEZE_NODE,),
    "fault_every_s": 3.0,
    "faults": 16,
    "checks_calm": False,
}
_LATE: Mapping[str, Any] = {
    "kinds": (FaultKind.PAUSE,),
    "fault_every_s": 4.0,
    "faults": 12,
    "checks_calm": False,
}
_CRASHES: Mapping[str, Any] = {
    "kinds": (FaultKind.KILL, WholeKind.KILL_WORKER, WholeKind.KILL_TREE),
    "fault_every_s": 0.4,
    "faults": 60,
}
_POWER: Mapping[str, Any] = {
    "kinds": (FaultKind.POWER_LOSS_MANY,),
    "fault_every_s": 2.0,
    "faults": 15,
}
_SLOW: Mapping[str, Any] = {
    "kinds": (WholeKind.TARGET_SLOW, WholeKind.KILL_WORKER, FaultKind.KILL),
    "fault_every_s": 0.3,
    "faults": 80,
}
_BUSY: Mapping[str, Any] = {"clients": 6, "pause_s": 0.2, "slow": 1.0}

_CROWD: Mapping[str, Any] = {"clients": 12, "pause_s": 0.1}
"""So much that what is moved has to wait, and is not over when the late word comes."""


def _busy(*names: str, **more: Any) -> Mapping[str, Any]:
    return {**_BUSY, "processes": names, **more}


GUARDS: Mapping[str, Guard] = {
    guard.name: guard
    for guard in (
        Guard(
            "checkpoint_token",
            "a checkpoint of an old owner is refused",
            _put((tokens, "may_checkpoint", _always)),
            _LATE,
            _busy("journey", **_CROWD),
        ),
        Guard(
            "intent_token",
            "an intent of an old owner is refused",
            _put((tokens, "may_intend", _always)),
            _LATE,
            _busy("journey", **_CROWD),
        ),
        Guard(
            "confirm_token",
            "a confirmation of an old owner is refused",
            _put((tokens, "may_confirm", _always)),
            _LATE,
            _busy("journey", **_CROWD),
        ),
        Guard(
            "end_token",
            "the end that an old owner says is refused",
            _put((tokens, "may_end", _always)),
            _LATE,
            _busy("orders", **_CROWD),
        ),
        Guard(
            "kernel_timer",
            "a paused process wakes up dead",
            _nothing,
            _FREEZES,
            _busy("journey", enforces_leases=False, leaving_s=0.1),
        ),
        Guard(
            "intent_before_once",
            "before a once effect its intent is committed",
            _put((Speaker, "_intents", _no_intents)),
            _CRASHES,
            _busy("orders", "doubts", "many"),
        ),
        Guard(
            "deadline_before_verify",
            "verify waits until no late request can be under way",
            _put((transitions, "doubt_ends_ms", _doubts_end_at_once)),
            _SLOW,
            _busy("orders", "lanes"),
        ),
        Guard(
            "sync_before_acknowledgement",
            "what is acknowledged is on the disks of a majority",
            _nothing,
            {**_POWER, "checks_calm": False},
            _busy("orders", "doubts"),
            {"durable_before_sending": False},
        ),
        Guard(
            "dedup",
            "the same key is the same execution",
            _put((apply_submissions, "_first_answer", _no_first_answer)),
            _CRASHES,
            _busy("orders"),
        ),
        Guard(
            "crash_budget",
            "poison work is quarantined",
            _put((losing, "_is_budget_spent", _never_spent)),
            {"kinds": (WholeKind.KILL_WORKER,), "fault_every_s": 1.0, "faults": 5},
            _busy("poison", "orders"),
        ),
        Guard(
            "cancel",
            "what is cancelled ends as cancelled",
            _put((apply_executions, "cancel_execution", _cancel_nothing)),
            _CRASHES,
            _busy("waits", "orders"),
        ),
        Guard(
            "order_key",
            "executions of a key run in the order of their commit",
            _put((queues, "holds_key", _always)),
            _CRASHES,
            _busy("lanes"),
        ),
    )
}
