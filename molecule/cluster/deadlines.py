"""By when an execution must have begun, and by when it must have ended; both in cluster time.

While it is parked the time-out stands still. What stays true: no execution ends as FAILED while
nobody knows what became of a `once` effect of it; its deadline then only hurries the answer.
"""

from molecule.cluster import transitions
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Execution
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.execution import PARKED, ExecutionState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire

EXPIRED = "expired"
TIMEOUT = "timeout"

_S = ExecutionState


def fail_execution(state: ClusterState, command: wire.FailExecution, changes: Changes) -> Outcome:
    """The leader says that a time is over; whether it is, is judged here."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        return Rejected("unknown_execution")
    is_expiry = command.error_code == EXPIRED
    refusal = expiry_refusal(state, execution) if is_expiry else refusal_of(state, execution)
    if refusal is not None:
        return refusal
    if not is_expiry and _doubts(execution):
        _hurry(state, execution, changes)
        return Applied(0, {"doubts": _doubts(execution)})

    code = EXPIRED if is_expiry else TIMEOUT
    error = (
        "it had not begun by the time after which it must not (expires)"
        if is_expiry
        else "the execution took longer than its time-out"
    )
    changes.touch(execution)
    transitions.end(state, execution, _S.FAILED, changes, reason=code, error_code=code, error=error)
    return Applied()


def refusal_of(state: ClusterState, execution: Execution) -> Rejected | None:
    """Why its time-out changes nothing now; None when the leader should act on it."""
    if not execution.deadline_at_ms or execution.state in PARKED:
        return Rejected("wrong_state", {"state": execution.state.value})
    if state.time_ms < execution.deadline_at_ms:
        return Rejected("too_early", {"not_before_ms": execution.deadline_at_ms})
    if is_held_up(state, execution, now_ms=state.time_ms):
        return Rejected("in_doubt", {"count": _doubts(execution)})
    return None


def is_held_up(state: ClusterState, execution: Execution, *, now_ms: int) -> bool:
    """True when its time-out must wait until it is known what became of an effect."""
    if not _doubts(execution):
        return False
    # Its holder counts the same deadline, begins nothing new and asks `verify`; without a holder
    # it gets one. Only a wait for something else is cut short.
    settled_ms = transitions.doubt_ends_ms(state, execution)
    hurried_ms = max(settled_ms, execution.deadline_at_ms, now_ms)
    waits_longer = execution.wait_until_ms == 0 or execution.wait_until_ms > hurried_ms
    return execution.state is not _S.WAITING or not waits_longer


def expiry_refusal(state: ClusterState, execution: Execution) -> Rejected | None:
    """Why it is not over before it began; None when it is."""
    if execution.state is not _S.PENDING or execution.started_at_ms or not execution.expires_at_ms:
        return Rejected("wrong_state", {"state": execution.state.value})
    if state.time_ms < execution.expires_at_ms:
        return Rejected("too_early", {"not_before_ms": execution.expires_at_ms})
    return None


def _doubts(execution: Execution) -> int:
    return sum(intent.is_in_doubt for intent in execution.intents.values())


def _hurry(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """Let it go on when nobody's late request can be under way: what is not known is asked."""
    settled_ms = transitions.doubt_ends_ms(state, execution)
    until_ms = max(settled_ms, execution.deadline_at_ms)
    transitions.wait_no_longer_than(state, execution, changes, until_ms=until_ms)
    changes.tell(state, execution, "deadline", {"reason": TIMEOUT, "until_ms": until_ms})
