"""Answers to the HTTP callers of executions, said by the step `respond`.

The row holds the answer, the state only that there is one. What stays true: the first committed
answer of an execution is the only one, whichever attempt said it.
"""

from typing import Final

from molecule.cluster import documents
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Execution
from molecule.cluster.state import ClusterState
from molecule.cluster.transitions import progress_of
from molecule.wire.v1 import commands_pb2 as wire

SLOT: Final = "answer"
BYTES_MAX: Final = 96 * 1024
"""Of a whole answer; the step keeps bodies well below it."""
_STATUSES: Final = range(200, 600)


def is_sound(command: wire.RecordCheckpoint | wire.EndAttempt) -> bool:
    """False for an answer that no gateway could send; True without one."""
    if not command.HasField("answer"):
        return True
    return command.answer.status in _STATUSES and command.answer.ByteSize() <= BYTES_MAX


def keep(
    state: ClusterState,
    execution: Execution,
    command: wire.RecordCheckpoint | wire.EndAttempt,
    changes: Changes,
) -> None:
    """Keep the first answer; a later one leaves only a line in the timeline."""
    if not command.HasField("answer"):
        return
    progress = progress_of(execution)
    if progress.answered:
        changes.tell(state, execution, "answer_ignored", {"status": command.answer.status})
        return
    progress.answered = True
    payload = wire.Payload(inline=command.answer.SerializeToString(deterministic=True))
    documents.keep(state, changes, execution.id, slot=SLOT, payload=payload)
    changes.answered.append(execution.id)
    changes.tell(state, execution, "answered", {"status": command.answer.status})
