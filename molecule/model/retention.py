"""What is kept of an execution after its end, by class; each class has its own time and size.

Times and sizes are settings (`config.Retention`), what a purge does is told by
`cluster/apply_retention.py` and the state store. What stays true: an execution that is not terminal
belongs to no class.
"""

from enum import StrEnum
from typing import Final

from molecule.model.execution import ExecutionState


class RetentionClass(StrEnum):
    """Things that are purged together once their time is over, oldest first."""

    COMPLETED_DOCUMENTS = "completed_documents"
    """Input and result of executions that ended COMPLETED."""
    FAILED_DOCUMENTS = "failed_documents"
    """Input and result of executions that ended FAILED or CANCELLED."""
    TIMELINES = "timelines"
    HISTORY = "history"
    """That the execution was there, how it ended, and its business keys; its rest goes with it."""


DOCUMENT_CLASSES: Final = (RetentionClass.COMPLETED_DOCUMENTS, RetentionClass.FAILED_DOCUMENTS)


def of_documents(state: ExecutionState | str) -> RetentionClass:
    """The class of the documents of an execution that ended so."""
    if state == ExecutionState.COMPLETED:
        return RetentionClass.COMPLETED_DOCUMENTS
    return RetentionClass.FAILED_DOCUMENTS
