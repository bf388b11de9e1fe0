"""What the planner wants is what apply accepts, and it leaves nothing lying that could run."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster import invariants, queues
from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import is_applied
from molecule.config import Limits, Timing
from molecule.model.execution import ExecutionState
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.plan import Moment, Planned, plan
from tests.properties import garbage, logs


def a_state(seed: int, *, spoiled: bool) -> StateMachine:
    chance = random.Random(seed)
    machine = StateMachine()
    for data in logs.seeded(seed, 60):
        machine.apply_entry(machine.index + 1, 1, data)
    for _ in range(30 if spoiled else 0):
        command = garbage.spoiled(logs.command(machine.state, logs.chosen(chance)), chance)
        machine.apply_entry(machine.index + 1, 1, logs.entry(0, command))
    return machine


def a_round(machine: StateMachine, *, limits: Limits) -> list[Planned]:
    liveness = Liveness()
    liveness.notice(machine.state, now_ms=0)
    moment = Moment(0, machine.state.time_ms + 3_000)
    return plan(machine.state, liveness, moment, timing=Timing(), limits=limits)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_every_planned_command_is_applied(seed: int, spoiled: bool) -> None:
    machine = a_state(seed, spoiled=spoiled)
    before = machine.state_hash()
    planned = a_round(machine, limits=Limits())
    assert machine.state_hash() == before
    at_ms = machine.state.time_ms + 3_000
    for item in planned:
        result = machine.apply_entry(machine.index + 1, 1, logs.entry(at_ms, item.command))
        assert is_applied(result.outcomes[0]), (item, result.outcomes)
        assert invariants.broken(machine.state) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_planning_ends_and_leaves_nothing_that_could_run(seed: int, bound: int) -> None:
    machine = a_state(seed, spoiled=False)
    limits = Limits(plan_commands_per_round_max=bound)
    for _ in range(200):
        planned = a_round(machine, limits=limits)
        assert len(planned) <= bound
        if not planned:
            break
        at_ms = machine.state.time_ms + 3_000
        data = logs.entry(at_ms, *(item.command for item in planned))
        machine.apply_entry(machine.index + 1, 1, data)
    state = machine.state
    assert a_round(machine, limits=limits) == []
    room = any(node.slots_free > 0 for node in state.nodes.values())
    waiting = [
        item
        for lane, ids in state.lanes.items()
        if not queues.is_paused(state, lane.environment, lane.process)
        for item in ids
        if not (progress := state.executions[item].progress) or not progress.held_for
    ]
    assert not (room and waiting)
    assert not any(
        item.state is ExecutionState.WAITING and 0 < item.wait_until_ms <= state.time_ms
        for item in state.executions.values()
    )
