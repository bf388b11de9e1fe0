"""The states of an execution and the one table of their transitions.

The table is data: the replicated state, the tests and the diagram in the docs read it. What moves
an execution is a committed command (`molecule/cluster`); a state is never changed by anything else.
"""

from enum import StrEnum
from typing import Final


class ExecutionState(StrEnum):
    """Where an execution stands. COMPLETED, FAILED and CANCELLED are terminal and never left."""

    PENDING = "PENDING"
    ASSIGNED = "ASSIGNED"
    WAITING = "WAITING"
    IN_DOUBT = "IN_DOUBT"
    QUARANTINED = "QUARANTINED"
    HELD = "HELD"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class WaitReason(StrEnum):
    """Why an execution is WAITING. A wait for doubts to settle tells its own reason."""

    TIMER = "timer"
    SIGNAL = "signal"
    RETRY = "retry"
    BREAKER = "breaker"
    RATE = "rate"


_S = ExecutionState

TRANSITIONS: Final[dict[ExecutionState, frozenset[ExecutionState]]] = {
    _S.PENDING: frozenset({_S.ASSIGNED, _S.CANCELLED, _S.FAILED, _S.QUARANTINED, _S.HELD}),
    _S.ASSIGNED: frozenset(
        {
            _S.COMPLETED,
            _S.FAILED,
            _S.CANCELLED,
            _S.WAITING,
            _S.IN_DOUBT,
            _S.COMPENSATION_FAILED,
            _S.PENDING,
        }
    ),
    _S.WAITING: frozenset({_S.PENDING, _S.CANCELLED, _S.FAILED}),
    _S.IN_DOUBT: frozenset({_S.PENDING, _S.FAILED, _S.CANCELLED}),
    _S.QUARANTINED: frozenset({_S.PENDING, _S.FAILED, _S.CANCELLED}),
    _S.HELD: frozenset({_S.PENDING, _S.FAILED, _S.CANCELLED}),
    _S.COMPENSATION_FAILED: frozenset({_S.PENDING, _S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}

TERMINAL: Final = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED})
ACTIVE: Final = frozenset({_S.PENDING, _S.ASSIGNED, _S.WAITING})
PARKED: Final = frozenset({_S.IN_DOUBT, _S.QUARANTINED, _S.HELD, _S.COMPENSATION_FAILED})


def may_become(state: ExecutionState, target: ExecutionState) -> bool:
    """True when the table lets an execution go from `state` to `target`."""
    return target in TRANSITIONS[state]
