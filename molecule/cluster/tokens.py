"""The fence: is a word from a holder still good? One named check for each kind of word.

They are apart, although they ask the same today, because each guards a promise of its own: a test
takes each one away and sees a scenario fail. What stays true: nothing said under an old token
changes anything.
"""

from molecule.cluster import losses
from molecule.cluster.changes import Changes
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import (
    ClusterState,
    DeploymentName,
)
from molecule.model.execution import ExecutionState
from molecule.model.ids import ExecutionId, ProcessName


def holds(execution: Execution, token: int) -> bool:
    """True when `token` is the one of the current assignment."""
    return execution.state is ExecutionState.ASSIGNED and execution.token == token


def may_checkpoint(execution: Execution, token: int) -> bool:
    """True when this token may move the place from which the execution resumes."""
    return holds(execution, token)


def may_intend(execution: Execution, token: int) -> bool:
    """True when this token may begin an effect."""
    return holds(execution, token)


def may_confirm(execution: Execution, token: int) -> bool:
    """True when this token may say what became of an effect."""
    return holds(execution, token)


def may_use_tables(execution: Execution, token: int) -> bool:
    """True when this token may read and change key tables, and claim keys."""
    return holds(execution, token)


def may_end(execution: Execution, token: int) -> bool:
    """True when this token may end the attempt."""
    return holds(execution, token)


def may_write(execution: Execution, token: int) -> bool:
    """True when this token may put a document, as far as this copy of the state knows.

    A copy may be behind, so a newer token is let through: a document alone changes nothing, and the
    command that names it is checked again.
    """
    return token >= execution.token


def may_charge(execution: Execution, token: int) -> bool:
    """True when the death of a worker that held this token concerns the execution."""
    return holds(execution, token)


def may_fire(state: ClusterState, deployment: DeploymentName, token: int) -> bool:
    """True when a trigger under this token may submit and record progress."""
    trigger = state.triggers.get((deployment[0], ProcessName(deployment[1])))
    return trigger is not None and trigger.token == token


def refuse(
    state: ClusterState, execution_id: str, token: int, changes: Changes, *, word: str
) -> Outcome:
    """The answer to a late word: counted, and told in the timeline of what is known.

    Of an execution that has ended only the first few are told, or its timeline would grow for ever.
    """
    execution = state.executions.get(ExecutionId(execution_id))
    if execution is not None:
        state.totals["late_words"] += 1
        losses.refused(state, execution.id, token, changes)
        changes.touch(execution)
        facts = {"word": word, "said_token": token, "reason": "stale_token"}
        changes.tell(state, execution, "refused", facts)
        return Rejected("stale_token", {"current": execution.token, "state": execution.state.value})
    ended = state.ended.get(ExecutionId(execution_id))
    if ended is None:
        return Rejected("unknown_execution")
    state.totals["late_words"] += 1
    losses.refused(state, ended.id, token, changes)
    if ended.late_words < state.bounds.late_words_told_max:
        changes.dirty.mark("ended", ended.id)
        state.ended[ended.id] = ended._replace(late_words=ended.late_words + 1)
        facts = {"word": word, "said_token": token, "reason": "stale_token"}
        changes.tell_ended(state, ended, "refused", facts)
    return Rejected("stale_token", {"current": ended.token, "state": ended.state.value})


def repeated(token: int) -> Outcome:
    """The answer to a word that was said and applied before under the same token."""
    return Applied(token, {"repeated": True})
