"""What the leader would like to commit in this round, each command with its reason.

Committing belongs to the leader's shell, and apply checks everything again. What stays true: the
planner cannot write, a round is bounded, and its cost follows the work it plans, not the number
that waits.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice

from molecule.cluster import queues
from molecule.cluster.commands import VERSION
from molecule.cluster.execution import (
    NO_NODE,
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
    Lane,
    Share,
)
from molecule.config import Limits, Timing
from molecule.model.ids import ExecutionId
from molecule.scheduler import liveness as judging
from molecule.scheduler import triggers
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.place import Board, Choice
from molecule.wire.v1 import commands_pb2 as wire


@dataclass(frozen=True, slots=True)
class Planned:
    """A command the leader would like to commit, and why."""

    command: wire.Command
    reason: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice: the leader's monotonic clock for leases, cluster time for waits and deadlines."""

    now_ms: int
    time_ms: int


def plan(
    state: ClusterState,
    liveness: Liveness,
    moment: Moment,
    *,
    timing: Timing,
    limits: Limits,
) -> list[Planned]:
    """The commands of one round, the most urgent first.

    To be called by the leader only, after `liveness.notice`, and again when what it planned before
    was applied or refused: it does not know what is under way.
    """
    sources = _sources(state, liveness, moment, timing=timing, limits=limits)
    return list(islice(sources, limits.plan_commands_per_round_max))


def _sources(
    state: ClusterState, liveness: Liveness, moment: Moment, *, timing: Timing, limits: Limits
) -> Iterator[Planned]:
    yield from _expirations(state, liveness, moment, timing=timing)
    yield from _releases(state, moment)
    yield from _ends_of_holds(state, moment)
    yield from _timeouts(state, moment)
    board = Board(state, liveness, now_ms=moment.now_ms, timing=timing)
    for command in triggers.plan_triggers(state, liveness, now_ms=moment.now_ms, timing=timing):
        yield Planned(wire.Command(version=VERSION, assign_trigger=command), command.reason)
    yield from _assignments(state, board, limits=limits)


def _expirations(
    state: ClusterState, liveness: Liveness, moment: Moment, *, timing: Timing
) -> Iterator[Planned]:
    for silent in judging.lost(state, liveness, now_ms=moment.now_ms, timing=timing):
        command = wire.ExpireNode(
            epoch=state.epoch,
            node=silent.node,
            incarnation=silent.incarnation,
            silent_for_ms=silent.silent_for_ms,
        )
        yield Planned(wire.Command(version=VERSION, expire_node=command), "lease_expired")


def _releases(state: ClusterState, moment: Moment) -> Iterator[Planned]:
    for execution_id in state.waits.due(moment.time_ms):
        progress = state.executions[execution_id].progress
        command = wire.ReleaseExecution(
            epoch=state.epoch,
            execution=execution_id,
            wait_number=progress.wait_number if progress is not None else 0,
        )
        yield Planned(wire.Command(version=VERSION, release_execution=command), "wait_over")


def _ends_of_holds(state: ClusterState, moment: Moment) -> Iterator[Planned]:
    for execution_id in state.holds.due(moment.time_ms):
        token = state.executions[execution_id].token
        command = wire.EndHold(epoch=state.epoch, execution=execution_id, token=token)
        yield Planned(wire.Command(version=VERSION, end_hold=command), "hold_over")


def _timeouts(state: ClusterState, moment: Moment) -> Iterator[Planned]:
    for execution_id in state.deadlines.due(moment.time_ms):
        command = wire.FailExecution(
            epoch=state.epoch,
            execution=execution_id,
            reason="timeout",
            error_code="timeout",
        )
        yield Planned(wire.Command(version=VERSION, fail_execution=command), "timeout")


def _assignments(state: ClusterState, board: Board, *, limits: Limits) -> Iterator[Planned]:
    """Higher priorities first, then what was lost before, then in fair turns among processes."""
    order = sorted(state.lanes, key=lambda lane: (-lane.priority, not lane.returned, lane))
    for _, lanes in groupby(order, key=lambda lane: (lane.priority, lane.returned)):
        turns = [_turn(state, lane) for lane in lanes]
        heapq.heapify(turns)
        while turns and board.has_room():
            turn = heapq.heappop(turns)
            execution, choice = _next_of(state, turn, board)
            if execution is None or choice is None or choice.node is None:
                continue
            board.take(choice.node)
            turn.held += 1
            turn.served += 1
            heapq.heappush(turns, turn)
            yield _assignment(state, execution, choice, limits=limits)


@dataclass(order=True, slots=True)
class _Turn:
    """A lane's claim to the next slot: who has least, then who was served longest ago."""

    held: int
    token_last: int
    lane: Lane
    served: int = 0
    waiting: Iterator[ExecutionId] = field(default_factory=lambda: iter(()), compare=False)


def _turn(state: ClusterState, lane: Lane) -> _Turn:
    share = state.shares.get((lane.environment, lane.process), Share())
    return _Turn(share.held, share.token_last, lane, waiting=iter(state.lanes[lane]))


def _next_of(
    state: ClusterState, turn: _Turn, board: Board
) -> tuple[Execution | None, Choice | None]:
    """The first of the lane that can be placed now.

    All of a lane have the same needs, so the first that fits nowhere ends it; only those that wait
    for one certain node (failover `hold`) are passed over.
    """
    for execution_id in turn.waiting:
        execution = state.executions[execution_id]
        held_for = execution.progress.held_for if execution.progress is not None else NO_NODE
        version = queues.version_of(state, execution)
        choice = board.choose(version, only=held_for)
        if choice.node is not None or not held_for:
            return execution, choice
    return None, None


def _assignment(
    state: ClusterState, execution: Execution, choice: Choice, *, limits: Limits
) -> Planned:
    node = choice.node
    reason = "returned" if execution.attempts else "least_loaded"
    told = choice.not_chosen[: limits.plan_nodes_not_chosen_max]
    command = wire.AssignExecution(
        epoch=state.epoch,
        execution=execution.id,
        node=node.id if node is not None else "",
        incarnation=node.incarnation if node is not None else 0,
        reason=reason,
        not_chosen=[wire.NodeNotChosen(node=other.node, reason=other.reason) for other in told],
    )
    return Planned(wire.Command(version=VERSION, assign_execution=command), reason)
