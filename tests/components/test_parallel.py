"""`parallel`: which settings are refused; what it does stands in tests/unit/engine."""

import pytest

from tests.components.calls import a_step
from tests.components.faults import faults_of

PATHS = "paths: {a: [{id: x, type: stop}], b: [{id: y, type: stop}]}"


@pytest.mark.parametrize(("wait_for", "wanted"), [("all", 2), ("any", 1), ("1", 1), ("2", 2)])
def test_it_waits_for_all_any_or_a_number(wait_for: str, wanted: int) -> None:
    component = a_step(f"{{type: parallel, {PATHS}, wait_for: {wait_for}}}").component
    assert (component.wanted, component.at_once) == (wanted, 2)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("wait_for: 3", "wait_for: 3 of 2 paths can never end"),
        ("wait_for: 0", "steps[0].wait_for: must be from 1 to 1000, is 0"),
        ("wait_for: some", "steps[0].wait_for: must be one of all, any; is some"),
        ("wait_for: true", "steps[0].wait_for: must be one of all, any; is true"),
        ("take: c", "take: no path is called c; there is a, b"),
        ("take: a, wait_for: any", "take: needs wait_for: all"),
    ],
)
def test_bad_settings_are_refused(fields: str, told: str) -> None:
    found = faults_of(f"{{id: it, type: parallel, {PATHS}, {fields}}}")
    assert any(told in fault for fault in found), found
