"""`validate`: what fits goes on; what does not is told with every reason."""

from typing import Any

import pytest

from molecule.component.contract import Emit
from molecule.component.json_schema import REASONS_MAX
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step
from tests.components.faults import faults_of

SCHEMA = "{type: object, required: [a, b], properties: {a: {type: integer}}}"


def emitted(config: str, value: Any) -> Emit:
    found = a_step(config).component.process(a_document(value), a_context())
    assert isinstance(found, Emit)
    return found


def test_rejected_documents_carry_every_reason() -> None:
    config = f"""
        type: validate
        schema: {SCHEMA}
        rules:
          - {{name: small, that: a < 5}}
          - {{name: named, that: $exists(name)}}
        rejected: [{{id: bad, type: stop}}]
    """
    assert emitted(config, {"a": 1, "b": 2, "name": "x"}).path is None
    found = emitted(config, {"a": "x", "c": 1})
    assert (found.path, found.document.value) == ("rejected", {"a": "x", "c": 1})
    error = found.document.properties["error"]
    assert [
        (reason["rule"], reason["message"].partition(" must")[0]) for reason in error["reasons"]
    ] == [
        ("schema", '$: "b" is a required property'),
        ("schema", '$.a: "x" is not of type "integer"'),
        ("small", 'rules.small: The values "x" and 5 either side of operator "<"'),
        ("named", "$exists(name) is false"),
    ]
    assert (error["class"], error["code"], error["step"]) == ("data", "invalid", "step")


def test_without_a_path_what_does_not_fit_is_a_data_error() -> None:
    with pytest.raises(StepError, match="required property") as raised:
        emitted(f"{{type: validate, schema: {SCHEMA}}}", {"a": 1})
    assert (raised.value.error_class, raised.value.error_code) == (ErrorClass.DATA, "invalid")


def test_bytes_fit_no_schema() -> None:
    with pytest.raises(StepError, match="Unsupported type"):
        emitted("{type: validate, schema: {type: object}}", b"x")


def test_reasons_are_bounded() -> None:
    config = "{type: validate, schema: {items: {type: integer}}, rejected: [{id: x, type: stop}]}"
    reasons = emitted(config, ["x"] * 1000).document.properties["error"]["reasons"]
    assert len(reasons) == REASONS_MAX


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("schema: {type: zzz}", "steps[0].schema: is no JSON Schema"),
        ("schema: {$ref: 'http://elsewhere/x'}", "steps[0].schema: is no JSON Schema"),
        ("schema: [1]", "steps[0].schema: must be a JSON Schema, which is a map"),
        ("rules: []", "steps[0].rules: must be a list of {name, that}"),
        ("rules: [{name: a}]", "steps[0].rules[0]: that is missing"),
        ("rules: [{name: a, that: 'n >'}]", "steps[0].rules[0].that"),
        ("rules: [{name: a, that: n, x: 1}]", "unknown field x"),
        ("rules: [{name: a, that: n}, {name: a, that: n}]", "each rule needs a name of its own"),
        ("rejected: [{id: x, type: stop}]", "validate needs schema or rules"),
    ],
)
def test_bad_settings_are_refused_at_their_place(fields: str, told: str) -> None:
    found = faults_of(f"{{id: it, type: validate, {fields}}}")
    assert any(told in fault for fault in found), found
