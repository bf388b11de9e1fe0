"""The command that writes volatile executions into history, after they have ended.

Nothing of them is in the state, so nothing is counted and nothing can follow from it. What stays
true: a record that is told again writes the same row, and none behind the horizon of history, for
that would never be purged.
"""

from typing import Any, Final

from molecule.cluster import records, retention
from molecule.cluster.apply_deployments import actor_text
from molecule.cluster.changes import Changes, HistoryRow
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId
from molecule.model.retention import RetentionClass
from molecule.wire.v1 import commands_pb2 as wire

RECORDS_MAX: Final = 1_000
STEPS_MAX: Final = 100
PREFIX: Final = "v"
"""The ids of volatile executions begin with it, so no record ever hides an accepted execution."""

_STATES: Final = {state.value: state for state in (ExecutionState.COMPLETED, ExecutionState.FAILED)}
_US: Final = 1_000


def record_volatile(state: ClusterState, command: wire.RecordVolatile, changes: Changes) -> Outcome:
    """Write a row of history for each record."""
    if len(command.records) > RECORDS_MAX:
        return Rejected("invalid", {"field": "records"})
    if any(not _is_sound(record) for record in command.records):
        return Rejected("invalid", {"field": "records"})

    horizon_ms = retention.horizon_ms(state, RetentionClass.HISTORY)
    written = 0
    for record in command.records:
        view = _view(state, record, index=changes.index)
        if view["ended_at_ms"] < horizon_ms:
            continue
        written += 1
        changes.history.append(
            HistoryRow(
                execution=ExecutionId(record.execution),
                index=changes.index,
                environment=record.environment,
                process=record.process,
                version=record.version,
                group="",
                state=_STATES[record.state],
                accepted_at_ms=view["accepted_at_ms"],
                ended_at_ms=view["ended_at_ms"],
                view=view,
            )
        )
    return Applied(written)


def _is_sound(record: wire.VolatileRecord) -> bool:
    return (
        record.execution.startswith(PREFIX)
        and bool(record.process and record.environment)
        and record.state in _STATES
        and len(record.steps) <= STEPS_MAX
    )


def _view(state: ClusterState, record: wire.VolatileRecord, *, index: int) -> dict[str, Any]:
    """As `views.execution` shows one that was kept, with what it never had left empty."""
    submitted_ms = max(0, min(record.submitted_at_ms, state.time_ms))
    took_ms = max(0, record.duration_us) // _US
    ended_ms = min(submitted_ms + took_ms, state.time_ms)
    return {
        "id": record.execution,
        "durability": "volatile",
        "state": record.state,
        "reason": "",
        "step": record.step,
        "error": records.text(state, record.error),
        "error_code": records.text(state, record.error_code),
        "environment": record.environment,
        "process": record.process,
        "version": record.version,
        "idempotency_key": record.idempotency_key,
        "concurrency_key": "",
        "track": {},
        "group": "",
        "origin": record.origin or record.execution,
        "actor": actor_text(record.actor),
        "priority": 0,
        "node": record.node,
        "token": 0,
        "attempts": record.tries,
        "accepted_at_ms": submitted_ms,
        "started_at_ms": submitted_ms,
        "changed_at_ms": ended_ms,
        "ended_at_ms": ended_ms,
        "deadline_at_ms": 0,
        "expires_at_ms": 0,
        "input_size_bytes": record.input_size_bytes,
        "sequence": 0,
        "position_size_bytes": 0,
        "steps": len(record.steps),
        "dead_letters": 0,
        "documents_failed": 0,
        "crashes": 0,
        "runs_alone": False,
        "last_death": None,
        "held_for": "",
        "held_until_ms": 0,
        "doubts": [],
        "lines": _lines(state, record, ended_ms, index=index),
    }


def _lines(
    state: ClusterState, record: wire.VolatileRecord, ended_ms: int, *, index: int
) -> list[dict[str, Any]]:
    """The timeline, inside the row: told again it is written once all the same."""
    kept = [("step", records.facts(state, step)) for step in record.steps]
    kept.append(("ended", {"state": record.state, "error_code": record.error_code}))
    return [
        {
            "index": index,
            "number": number,
            "at_ms": ended_ms,
            "kind": kind,
            "node": record.node,
            "token": 0,
            "attempt": record.tries,
            "facts": facts,
        }
        for number, (kind, facts) in enumerate(kept)
    ]
