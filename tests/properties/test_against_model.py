"""The state machine does what the obvious model does, and every invariant holds after each step."""

from hypothesis import given, settings
from hypothesis import strategies as st

from molecule.cluster import invariants, losses
from molecule.cluster.apply import StateMachine
from molecule.cluster.execution import (
    Execution,
)
from molecule.cluster.outcome import is_applied
from tests.properties import beginning, key_words, logs
from tests.properties.model import Model
from tests.properties.model_parts import Run

# Kinds weighted as in `logs`: executions must start before anything can happen to them.
_KINDS = st.sampled_from(
    [kind for kind in range(logs.KINDS_OF_THE_MODEL) for _ in range(logs.WEIGHTS[kind])]
)
_NUMBER = st.integers(0, 11)
CHOICES = st.tuples(_KINDS, _NUMBER, _NUMBER, _NUMBER, _NUMBER)
STEPS = st.lists(st.tuples(st.sampled_from([0, 10, 1_000, 5_000]), CHOICES), max_size=60)


def a_machine() -> tuple[StateMachine, Model]:
    machine, model = StateMachine(), Model(hold_ms=2_750)
    machine.apply_entry(1, 1, logs.entry(logs.START_MS, *beginning.setting_up()))
    model.time, model.epoch = logs.START_MS, 1
    return machine, model


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_machine_agrees_with_the_model(steps: list[tuple[int, logs.Choice]]) -> None:
    machine, model = a_machine()
    at_ms = logs.START_MS
    register_all = [(0, (2, node, 0, 2, 0)) for node in range(3)]
    for pause_ms, choice in [*register_all, *steps]:
        at_ms += pause_ms
        command = logs.command(machine.state, choice)
        tokens_before = machine.state.token_last
        result = machine.apply_entry(machine.index + 1, 1, logs.entry(at_ms, command))
        assert is_applied(result.outcomes[0]) == model.apply(at_ms, command), (command, result)
        assert machine.state.token_last >= tokens_before
        assert not result.changes.alarms
        assert invariants.broken(machine.state) == []
        assert told(machine) == expected(model)
        assert lost(machine) == model.losses[-losses.LOSSES_MAX :]
        assert key_words.told(machine.state) == (model.rows, model.claims())
        assert able(machine) == {run.name for run in model.runs if model.may_start(run)}


def told(machine: StateMachine) -> dict[str, tuple[object, ...]]:
    """What the machine knows of everything it ever accepted."""
    live: dict[str, tuple[object, ...]] = {
        item.id: (item.state.value, item.token, item.attempts, item.sequence, *effects_of(item))
        for item in machine.state.executions.values()
    }
    ended: dict[str, tuple[object, ...]] = {
        item.id: (item.state.value, item.token) for item in machine.state.ended.values()
    }
    return {**live, **ended}


def effects_of(item: Execution) -> tuple[dict[str, tuple[int, str]], dict[str, str]]:
    intents = {
        str(key): (int(intent.token), intent.resolution) for key, intent in item.intents.items()
    }
    return intents, {str(key): answer.answer for key, answer in item.answers.items()}


def expected(model: Model) -> dict[str, tuple[object, ...]]:
    """The same from the model."""
    return {
        run.name: (run.state, run.token, run.attempts, run.sequence, _effects(run), run.answers)
        if run.live
        else (run.state, run.token)
        for run in model.runs
    }


def _effects(run: Run) -> dict[str, tuple[int, str]]:
    return {key: (effect.token, effect.known) for key, effect in run.effects.items()}


def lost(machine: StateMachine) -> list[tuple[str, int]]:
    """The lost lives it remembers, and how many executions each had."""
    return [(loss.id, loss.moved) for loss in machine.state.losses.values()]


def able(machine: StateMachine) -> set[str]:
    """What may be assigned now, by the machine's lanes."""
    return {item for ids in machine.state.lanes.values() for item in ids}
