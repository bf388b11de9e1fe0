"""What is remembered of terminal executions so that their documents can be let go later.

When that happens is told by the horizons of the state, which `apply_retention.py` moves. What stays
true: only executions that are terminal are here, in the order in which they ended.
"""

from molecule.cluster import documents
from molecule.cluster.changes import Changes
from molecule.cluster.execution import Execution, PayloadMark
from molecule.cluster.state import ClusterState, Retained
from molecule.model.ids import ExecutionId
from molecule.model.retention import DOCUMENT_CLASSES, RetentionClass, of_documents


def horizon_ms(state: ClusterState, name: RetentionClass) -> int:
    """What ended before this instant has nothing of the class any more: with history all goes."""
    return max(state.horizons[name], state.horizons[RetentionClass.HISTORY])


def is_behind(state: ClusterState, name: RetentionClass) -> bool:
    """True when references of a class are still to be taken back."""
    first = next(iter(state.retained[name].values()), None)
    return first is not None and first.ended_at_ms < horizon_ms(state, name)


def retain(
    state: ClusterState, execution: Execution, changes: Changes, *, result: PayloadMark, serial: int
) -> None:
    """Remember which documents an execution that ends now refers to; most refer to none."""
    digests = (*execution.input.digests, *result.digests)
    if not digests:
        return
    name = of_documents(execution.state)
    changes.dirty.mark("retained", execution.id)
    state.retained[name][execution.id] = Retained(
        execution.id, name, state.time_ms, serial, digests
    )


def retained(state: ClusterState, execution: ExecutionId) -> Retained | None:
    """What is remembered of an execution."""
    for name in DOCUMENT_CLASSES:
        found = state.retained[name].get(execution)
        if found is not None:
            return found
    return None


def release(state: ClusterState, changes: Changes, name: RetentionClass, *, at_most: int) -> int:
    """Take back the references of the oldest that are behind the horizon; how many executions."""
    done = 0
    while done < at_most and is_behind(state, name):
        execution, kept = state.retained[name].popitem(last=False)
        changes.dirty.mark("retained", execution)
        documents.release(state, changes, kept.digests)
        done += 1
    return done
