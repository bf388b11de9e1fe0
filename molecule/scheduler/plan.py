"""What the leader would like to commit in this round, each command with its reason.

Committing belongs to the leader's shell, and apply checks everything again. What stays true: the
planner cannot write, a round is bounded, and its cost follows the work it plans, not the number
that waits.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from molecule.cluster import deadlines, queues, transitions
from molecule.cluster.commands import VERSION
from molecule.cluster.execution import (
    NO_NODE,
    Execution,
)
from molecule.cluster.state import (
    ClusterState,
    Lane,
)
from molecule.config import Limits, Timing
from molecule.model.ids import ExecutionId
from molecule.scheduler import fairness, gates, triggers
from molecule.scheduler import liveness as judging
from molecule.scheduler.fairness import Claim
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
    for release in gates.releases(state, time_ms=moment.time_ms, limits=limits):
        yield Planned(wire.Command(version=VERSION, release_execution=release), "gate")
    yield from _ends_of_holds(state, moment)
    over: set[ExecutionId] = set()
    yield from _timeouts(state, moment, over)
    board = Board(state, liveness, now_ms=moment.now_ms, timing=timing)
    for command in triggers.plan_triggers(state, liveness, now_ms=moment.now_ms, timing=timing):
        yield Planned(wire.Command(version=VERSION, assign_trigger=command), command.reason)
    yield from _assignments(state, board, over, limits=limits)


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
        execution = state.executions[execution_id]
        # A leader with longer leases may have come since: apply would refuse it, round after round.
        if transitions.doubt_ends_ms(state, execution) > moment.time_ms:
            continue
        progress = execution.progress
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


def _timeouts(state: ClusterState, moment: Moment, over: set[ExecutionId]) -> Iterator[Planned]:
    """Times that are over, but for those that must first know what became of an effect.

    Adds to `over` what is not to be assigned in this round any more.
    """
    for execution_id in state.deadlines.due(moment.time_ms):
        execution = state.executions[execution_id]
        if not deadlines.is_held_up(state, execution, now_ms=moment.time_ms):
            over.add(execution_id)
            yield _over(state, execution_id, deadlines.TIMEOUT)
    for execution_id in state.expiries.due(moment.time_ms):
        if execution_id not in over:
            over.add(execution_id)
            yield _over(state, execution_id, deadlines.EXPIRED)


def _over(state: ClusterState, execution: ExecutionId, code: str) -> Planned:
    command = wire.FailExecution(
        epoch=state.epoch, execution=execution, reason=code, error_code=code
    )
    return Planned(wire.Command(version=VERSION, fail_execution=command), code)


def _assignments(
    state: ClusterState, board: Board, over: set[ExecutionId], *, limits: Limits
) -> Iterator[Planned]:
    """Higher priorities first, then what was lost before, then in fair turns among processes."""
    open_ = [
        lane for lane in state.lanes if not queues.is_paused(state, lane.environment, lane.process)
    ]
    order = sorted(open_, key=lambda lane: (-lane.priority, not lane.returned, lane))
    for _, lanes in groupby(order, key=lambda lane: (lane.priority, lane.returned)):
        turns = fairness.claims(state, lanes, slots=board.slots())
        heapq.heapify(turns)
        heads = _Heads(state, over)
        while turns and board.has_room():
            claim = heapq.heappop(turns)
            execution, choice = heads.next_of(claim, board)
            if execution is None or choice is None or choice.node is None:
                continue
            board.take(choice.node, execution.process)
            claim.take_turn()
            heapq.heappush(turns, claim)
            yield _assignment(state, execution, choice, limits=limits)


class _Heads:
    """How far each lane was read in this round."""

    def __init__(self, state: ClusterState, over: set[ExecutionId]) -> None:
        self._state = state
        self._over = over
        self._read: dict[Lane, Iterator[ExecutionId]] = {}
        self._first: dict[Lane, Execution] = {}

    def next_of(self, claim: Claim, board: Board) -> tuple[Execution | None, Choice | None]:
        """The one that became ready first of those that can be placed now.

        All of a lane have the same needs, so the first that fits nowhere ends it; only those that
        wait for one certain node (failover `hold`) are passed over.
        """
        while True:
            heads = [head for lane in claim.lanes if (head := self._head(lane)) is not None]
            if not heads:
                return None, None
            execution = min(heads, key=lambda head: head.ready_serial)
            lane = queues.lane_of(execution)
            held_for = execution.progress.held_for if execution.progress is not None else NO_NODE
            choice = board.choose(queues.version_of(self._state, execution), only=held_for)
            if choice.node is not None or held_for:
                del self._first[lane]
            else:
                claim.lanes.remove(lane)
            if choice.node is not None:
                return execution, choice

    def _head(self, lane: Lane) -> Execution | None:
        found = self._first.get(lane)
        if found is None:
            read = self._read.setdefault(lane, iter(self._state.lanes[lane]))
            following = next((one for one in read if one not in self._over), None)
            if following is None:
                return None
            found = self._first[lane] = self._state.executions[following]
        return found


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
