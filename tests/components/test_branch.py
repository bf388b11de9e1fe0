"""`branch`: which settings are refused; what it does stands in tests/unit/engine."""

import pytest

from tests.components.calls import a_step
from tests.components.faults import faults_of

PATHS = "paths: {a: [{id: x, type: stop}], b: [{id: y, type: stop}]}"


def test_paths_stand_in_the_order_written() -> None:
    step = a_step(f"{{type: branch, {PATHS}, take: b}}")
    assert list(step.paths) == ["a", "b"]
    assert [node.path for node in step.all_steps()] == ["it", "it/x", "it/y"]
    assert (step.component.take, step.component.wanted, step.component.at_once) == ("b", 2, 1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (f"{PATHS}, take: c", "take: no path is called c; there is a, b"),
        ("paths: {}", "steps[0].paths: must name 1 to 50 paths"),
        ("paths: {a: {steps: [{id: x, type: stop}]}}", "paths.a: must be a list of steps"),
        ("paths: {a: [{id: x, type: stpo}]}", "paths.a[0].type: there is no step stpo"),
        (f"{PATHS}, wait_for: any", "unknown field wait_for"),
        ("take: a", "paths is missing"),
    ],
)
def test_bad_settings_are_refused(fields: str, told: str) -> None:
    found = faults_of(f"{{id: it, type: branch, {fields}}}")
    assert any(told in fault for fault in found), found
