"""Commands that let a parked execution go: by a person's word, or when a hold is over.

Doubts are answered in `apply_effects.py`. What stays true: nothing goes on while a request of its
last holder may still be under way, and what ended stays ended.
"""

from typing import Final

from molecule.cluster import holding, records, transitions
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Execution
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.execution import PARKED, ExecutionState
from molecule.model.ids import ExecutionId
from molecule.wire.v1 import commands_pb2 as wire

_S: Final = ExecutionState
_RELEASABLE: Final = PARKED - {_S.IN_DOUBT}


def release_parked(state: ClusterState, command: wire.ReleaseParked, changes: Changes) -> Outcome:
    """Make it PENDING again with its crashes forgiven; one that was marked still runs alone."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or execution.state not in _RELEASABLE:
        return _wrong_state(state, command.execution)
    # Its next holder may ask `verify`, which must not race a late request of the last one.
    not_before_ms = transitions.doubt_ends_ms(state, execution)
    if state.time_ms < not_before_ms:
        effect = max(_doubts(execution), key=lambda doubt: doubt[1])[0]
        return Rejected("too_early", {"effect": effect, "not_before_ms": not_before_ms})

    _tell(state, execution, changes, command)
    holding.end(state, execution)
    transitions.progress_of(execution).crashes = 0
    transitions.give_back(state, execution, changes, reason="released")
    return Applied(0, {"state": execution.state.value})


def _doubts(execution: Execution) -> list[tuple[str, int]]:
    intents = execution.intents.values()
    return [(one.effect_key, one.deadline_at_ms) for one in intents if one.is_in_doubt]


def fail_parked(state: ClusterState, command: wire.FailParked, changes: Changes) -> Outcome:
    """End it as FAILED: a person gives it up."""
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None or execution.state not in PARKED:
        return _wrong_state(state, command.execution)

    _tell(state, execution, changes, command)
    reason = records.text(state, command.reason) or "given_up"
    transitions.end(state, execution, _S.FAILED, changes, reason=reason, error_code="given_up")
    return Applied()


def end_hold(state: ClusterState, command: wire.EndHold, changes: Changes) -> Outcome:
    """It waited for its node long enough: from now on it may run anywhere."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    execution = state.executions.get(ExecutionId(command.execution))
    if execution is None:
        return Rejected("unknown_execution")
    progress = execution.progress
    if progress is None or not progress.held_for or execution.token != command.token:
        return Rejected("not_held")
    if state.time_ms < progress.held_until_ms:
        return Rejected("too_early", {"not_before_ms": progress.held_until_ms})

    changes.touch(execution)
    changes.tell(state, execution, "hold_over", {"node": progress.held_for})
    holding.end(state, execution)
    if execution.state is _S.HELD:
        transitions.give_back(state, execution, changes, reason="hold_over")
    return Applied()


def _wrong_state(state: ClusterState, execution_id: str) -> Outcome:
    name = ExecutionId(execution_id)
    known = state.executions.get(name) or state.ended.get(name)
    if known is None:
        return Rejected("unknown_execution")
    return Rejected("wrong_state", {"state": known.state.value})


def _tell(
    state: ClusterState,
    execution: Execution,
    changes: Changes,
    command: wire.ReleaseParked | wire.FailParked,
) -> None:
    changes.touch(execution)
    kind = "released" if isinstance(command, wire.ReleaseParked) else "given_up"
    reason = records.text(state, command.reason)
    facts = {"actor": actor_text(command.actor), "reason": reason}
    changes.tell(state, execution, kind, facts)
