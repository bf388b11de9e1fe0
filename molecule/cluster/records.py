"""What a holder tells beside its word: the steps that ended and the documents that failed.

Both go into rows, only their numbers stay in the state. What stays true: a dead letter is written
with the word that reports it, so a repeat of that word writes no second one.
"""

from collections.abc import Sequence
from typing import Any

from molecule.cluster import documents, losses
from molecule.cluster.changes import Changes, DeadLetterRow
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
    Group,
)
from molecule.cluster.transitions import progress_of
from molecule.wire.v1 import commands_pb2 as wire

_STEP_FIELDS = ("type", "started_at_ms", "duration_us", "documents_in", "documents_out", "retries")
_STEP_TEXTS = ("error", "error_code", "detail")


def text(state: ClusterState, value: str) -> str:
    """Text for people, cut to the bound of the timeline."""
    return value[: state.bounds.timeline_text_length_max]


def tell_steps(
    state: ClusterState, execution: Execution, steps: Sequence[wire.StepRecord], changes: Changes
) -> None:
    """One line of the timeline for each step that ended."""
    if steps and execution.progress is not None and execution.progress.lost_with:
        losses.went_on(state, execution, changes)
    for step in steps:
        progress_of(execution).steps += 1
        changes.tell(state, execution, "step", facts(state, step))


def facts(state: ClusterState, step: wire.StepRecord) -> dict[str, Any]:
    """What a line of the timeline tells of a step."""
    found: dict[str, Any] = {"step": step.step}
    found.update((name, getattr(step, name)) for name in _STEP_FIELDS)
    for name in _STEP_TEXTS:
        value = getattr(step, name)
        if value:
            found[name] = text(state, value)
    return found


def has_room(
    state: ClusterState, execution: Execution, dead_letters: Sequence[wire.DeadLetter]
) -> bool:
    """True when these dead letters are within the execution's bound."""
    kept = execution.progress.dead_letters if execution.progress is not None else 0
    return kept + len(dead_letters) <= state.bounds.dead_letters_per_execution_max


def keep_dead_letters(
    state: ClusterState,
    execution: Execution,
    dead_letters: Sequence[wire.DeadLetter],
    changes: Changes,
) -> None:
    """Write the failed documents of an execution."""
    for letter in dead_letters:
        progress_of(execution).dead_letters += 1
        _keep(
            state,
            letter,
            changes,
            environment=execution.environment,
            process=execution.process,
            version=execution.version,
            execution=execution.id,
            group=execution.group,
        )


def keep_bad_records(
    state: ClusterState, group: Group, letters: Sequence[wire.DeadLetter], changes: Changes
) -> None:
    """Write the records of a trigger event that could not become executions."""
    for letter in letters:
        _keep(
            state,
            letter,
            changes,
            environment=group.environment,
            process=group.process,
            version="",
            execution="",
            group=group.id,
        )


def _keep(state: ClusterState, letter: wire.DeadLetter, changes: Changes, **where: str) -> None:
    documents.count(state, changes, letter.payload)
    state.totals["dead_letters"] += 1
    changes.dead_letters.append(
        DeadLetterRow(
            index=changes.index,
            number=len(changes.dead_letters),
            at_ms=changes.at_ms,
            document=letter.document,
            step=letter.step,
            error_class=letter.error_class,
            error_code=letter.error_code,
            error=text(state, letter.error),
            payload=letter.payload.SerializeToString(deterministic=True),
            **where,
        )
    )
