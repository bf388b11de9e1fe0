"""`route`: which path takes a document, and which settings are refused."""

from typing import Any

import pytest

from molecule.component.contract import Emit
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step
from tests.components.faults import faults_of

TO = "steps: [{id: %s, type: stop}]"


def path_of(config: str, value: Any) -> str | None:
    emitted = a_step(config).component.process(a_document(value), a_context())
    assert isinstance(emitted, Emit)
    assert emitted.document.value == value
    return emitted.path


def test_the_first_path_that_takes_a_document_gets_it() -> None:
    config = f"""
        type: route
        by: kind
        paths:
          exact: {{is: [a, b], {TO % "x"}}}
          glob: {{like: ["a*", "c?"], {TO % "y"}}}
          rest: {{if: n > 1, {TO % "z"}}}
    """
    given = [("a", 0), ("ab", 0), ("cx", 0), ("cxx", 2), ("cxx", 1), ("A", 0)]
    taken = [path_of(config, {"kind": kind, "n": n}) for kind, n in given]
    assert taken == ["exact", "glob", "glob", "rest", None, None]


def test_default_takes_what_no_path_takes() -> None:
    config = f"""
        type: route
        paths: {{big: {{if: n > 1, {TO % "x"}}}}}
        default: [{{id: small, type: stop}}]
    """
    assert [path_of(config, {"n": n}) for n in (2, 1)] == ["big", "default"]


def test_a_document_without_the_value_is_an_error_and_goes_nowhere() -> None:
    config = f"{{type: route, by: kind, paths: {{a: {{is: a, {TO % 'x'}}}}}}}"
    with pytest.raises(StepError, match="by: kind must give a text, gave nothing") as raised:
        path_of(config, {})
    assert raised.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ("{}", "steps[0].paths: must name 1 to 50 paths (paths_per_step_max)"),
        ("{a: {steps: [{id: x, type: stop}]}}", "paths.a: needs one of is, like and if"),
        ("{a: {is: a, if: n = 1, steps: [{id: x, type: stop}]}}", "needs one of is, like and if"),
        ("{a: {is: a}}", "steps[0].paths.a: steps is missing"),
        ("{a: {is: a, steps: []}}", "steps[0].paths.a.steps: has no steps"),
        ("{default: {is: a, steps: [{id: x, type: stop}]}}", "default is a path of its own"),
        ("{A b: {is: a, steps: [{id: x, type: stop}]}}", "'A b' is no name"),
        ("{a: {is: a, where: 1, steps: [{id: x, type: stop}]}}", "unknown field where"),
        ("[1]", "must be a map of fields, is a list"),
    ],
)
def test_what_is_wrong_with_the_paths_is_told_at_their_place(paths: str, told: str) -> None:
    found = faults_of(f"{{id: it, type: route, by: kind, paths: {paths}}}")
    assert any(told in fault for fault in found), found
    assert all(fault.startswith("p.yaml:3:") for fault in found)


def test_a_path_that_looks_at_by_needs_it() -> None:
    found = faults_of(f"{{id: it, type: route, paths: {{a: {{like: a, {TO % 'x'}}}}}}}")
    assert any("by is missing: paths.a.like looks at it" in fault for fault in found)


def test_more_paths_than_the_bound_are_refused() -> None:
    paths = ", ".join(f"p{at}: {{if: n = {at}, {TO % f's{at}'}}}" for at in range(51))
    found = faults_of(f"{{id: it, type: route, paths: {{{paths}}}}}")
    assert any("paths_per_step_max" in fault for fault in found)
