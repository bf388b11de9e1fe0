"""The picture of the states is the table."""

from molecule.model.diagram import state_diagram
from molecule.model.execution import ACTIVE, PARKED, TERMINAL, TRANSITIONS, ExecutionState


def test_diagram_has_every_transition_and_no_other() -> None:
    drawn = {
        (source, target)
        for line in state_diagram().splitlines()
        if " --> " in line and "[*]" not in line
        for source, target in [line.strip().split(" --> ")]
    }
    table = {(source, target) for source, targets in TRANSITIONS.items() for target in targets}
    assert drawn == table


def test_diagram_ends_in_the_terminal_states() -> None:
    ends = {line.split()[0] for line in state_diagram().splitlines() if line.endswith("--> [*]")}
    assert ends == TERMINAL


def test_every_state_is_active_parked_or_terminal() -> None:
    assert set(ExecutionState) == ACTIVE | PARKED | TERMINAL
    assert not ACTIVE & PARKED
    assert not (ACTIVE | PARKED) & TERMINAL


def test_terminal_states_are_never_left() -> None:
    assert all(not TRANSITIONS[state] for state in TERMINAL)
