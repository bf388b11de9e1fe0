"""Post-mortems: for each life of a node that was lost, what it was known by and what it cost.

Commands are judged elsewhere; these functions only note what came of them, and nothing ever reads
it to decide. What stays true: the table is bounded in number and in what each row names.
"""

from dataclasses import dataclass
from typing import Final

from molecule.cluster.changes import Changes
from molecule.cluster.execution import Execution
from molecule.cluster.loss import Loss, Moved
from molecule.cluster.state import ClusterState, Node
from molecule.model.ids import ExecutionId, NodeId

LOSSES_MAX: Final = 64
"""Lost lives that are remembered; the oldest goes first."""
_MOVED_TOLD_MAX: Final = 256
"""Executions that a post-mortem names; the others are only counted."""
_LED_FACTOR: Final = 2


@dataclass(slots=True)
class Evidence:
    """By what a life counts as lost."""

    reason: str
    told: str = ""
    silent_for_ms: int = 0


def begin(state: ClusterState, node: Node, changes: Changes, evidence: Evidence) -> Loss:
    """Open the post-mortem of the life that `node` has lost now."""
    led = _led(state, node.id)
    loss = Loss(
        id=f"{node.id}.{node.incarnation}",
        node=node.id,
        incarnation=node.incarnation,
        reason=evidence.reason,
        evidence=evidence.told,
        silent_for_ms=max(evidence.silent_for_ms, 0),
        index=state.index,
        at_ms=state.time_ms,
        registered_at_ms=node.registered_at_ms,
        epoch=state.epoch,
        led=led,
        without_leader_ms=state.claim_leaderless_ms if led else 0,
    )
    changes.dirty.mark("losses", loss.id)
    state.losses[loss.id] = loss
    while len(state.losses) > LOSSES_MAX:
        # Not the first of the table: lives that one entry ended stand there in the order of its
        # commands, and after a restore in that of their incarnations.
        oldest = min(state.losses.values(), key=lambda one: (one.index, one.incarnation)).id
        changes.dirty.mark("losses", oldest)
        del state.losses[oldest]
    return loss


def _led(state: ClusterState, node: NodeId) -> bool:
    """True when the newest claim took the leadership from it a moment ago."""
    since_ms = state.time_ms - state.claim_at_ms
    return state.claim_former == node and since_ms <= _LED_FACTOR * state.lease_hold_ms


def moved(loss: Loss, execution: Execution, *, doubts: int) -> None:
    """An execution was taken from it; to be called when it is where it went."""
    loss.moved += 1
    loss.doubts += doubts
    if len(loss.executions) < _MOVED_TOLD_MAX:
        became = execution.state.value
        loss.executions[execution.id] = Moved(execution.token, became, doubts)
    if execution.progress is not None:
        execution.progress.lost_with = loss.id


def went_on(state: ClusterState, execution: Execution, changes: Changes) -> None:
    """The next attempt told its first step: that one the lost life may have begun."""
    progress = execution.progress
    if progress is None or not progress.lost_with:
        return
    loss = state.losses.get(progress.lost_with)
    progress.lost_with = ""
    if loss is not None:
        changes.dirty.mark("losses", loss.id)
        loss.repeated += 1


def refused(state: ClusterState, execution: ExecutionId, token: int, changes: Changes) -> None:
    """A late word was refused: it counts for the loss that took this token away."""
    for loss in reversed(state.losses.values()):
        known = loss.executions.get(execution)
        if known is not None and known.token == token:
            changes.dirty.mark("losses", loss.id)
            loss.late_words += 1
            return
