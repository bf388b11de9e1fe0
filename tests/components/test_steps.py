"""Steps beyond their examples: what they refuse, and what they hand on."""

from typing import Any

import pytest

from molecule.component.contract import Emit, EndExecution
from molecule.expression.names import Names
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step

AIRLINES = {"airlines": "carrier,name\nUA,United\n"}


def emitted(config: str, value: Any, names: Names | None = None, **properties: Any) -> Any:
    step = a_step(config)
    context = a_context(names, AIRLINES)
    return step.component.process(a_document(value, **properties), context)


def handed_on(config: str, value: Any) -> Any:
    found = emitted(config, value)
    assert isinstance(found, Emit)
    return found.document.value


def test_decision_takes_else_when_it_is_there() -> None:
    config = """
        type: decision
        if: n > 1
        then: [{id: a, type: stop}]
        else: [{id: b, type: stop}]
    """
    assert [emitted(config, {"n": n}).path for n in (2, 1)] == ["then", "else"]


def test_decision_refuses_a_document_without_the_field() -> None:
    config = "type: decision\nif: n > 1\nthen: [{id: a, type: stop}]"
    with pytest.raises(StepError, match="must give true or false, gave nothing") as raised:
        emitted(config, {})
    assert raised.value.error_class is ErrorClass.DATA


def test_map_merges_when_asked_and_replaces_otherwise() -> None:
    config = "{type: map, to: {b: a + 1}"
    assert handed_on(config + "}", {"a": 1}) == {"b": 2}
    assert handed_on(config + ", merge: true}", {"a": 1}) == {"a": 1, "b": 2}
    with pytest.raises(StepError, match="needs a document and a result that have fields"):
        handed_on("{type: map, to: {b: '1'}, merge: true}", [1])


def test_map_takes_one_expression_for_the_whole() -> None:
    assert handed_on("{type: map, to: lines}", {"lines": [1, 2]}) == [1, 2]
    with pytest.raises(StepError, match="yields nothing"):
        handed_on("{type: map, to: lines}", {})


def test_lookup_of_an_unknown_key_fails_or_keeps_as_told() -> None:
    config = "{type: lookup, table: airlines, by: carrier, set: {airline: name}"
    with pytest.raises(StepError, match="'XX' is not in table airlines") as raised:
        handed_on(config + "}", {"carrier": "XX"})
    assert raised.value.error_class is ErrorClass.DATA
    assert handed_on(config + ", missing: keep}", {"carrier": "XX"}) == {"carrier": "XX"}


def test_set_writes_and_removes_properties_only() -> None:
    config = "{type: set, set: {a: n, gone: missing}}"
    found = emitted(config, {"n": 1}, gone="x", kept="y")
    assert found.document.value == {"n": 1}
    assert found.document.properties == {"a": 1, "kept": "y"}


def test_log_writes_a_line_of_the_timeline() -> None:
    step, context = a_step("{type: log, message: 'order ${n}'}"), a_context()
    step.component.process(a_document({"n": 7}), context)
    assert context.lines == ["order 7"]


def test_raise_fails_with_its_code() -> None:
    with pytest.raises(StepError) as raised:
        emitted("{type: raise, code: NO_STOCK}", {})
    error = raised.value
    assert (error.error_class, error.error_code, error.message) == (
        ErrorClass.RAISED,
        "NO_STOCK",
        "NO_STOCK",
    )


def test_raise_without_a_code_raises_the_caught_error_again() -> None:
    caught = {"class": "permanent", "code": "http_404", "message": "gone", "step": "tell"}
    with pytest.raises(StepError) as raised:
        emitted("{type: raise}", {}, Names(error=caught))
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.PERMANENT,
        "http_404",
    )
    with pytest.raises(StepError, match="outside of a catch"):
        emitted("{type: raise}", {})


def test_stop_ends_a_path_or_the_execution() -> None:
    assert emitted("{type: stop}", {}) == ()
    assert emitted("{type: stop, what: execution, reason: full}", {}) == EndExecution("full")


def test_try_names_the_first_catch_that_takes_an_error() -> None:
    config = """
        type: try
        body: [{id: a, type: stop}]
        catch:
          - {errors: [transient.definite, NO_STOCK], steps: [{id: b, type: stop}]}
          - {errors: [data], steps: [{id: c, type: stop}]}
          - {steps: [{id: d, type: stop}]}
    """
    step = a_step(config)
    assert list(step.paths) == ["body", "catch.0", "catch.1", "catch.2"]
    take = step.component.catch_for
    assert take(ErrorClass.RAISED, "NO_STOCK") == "catch.0"
    assert take(ErrorClass.TRANSIENT_DEFINITE, "http_429") == "catch.0"
    assert take(ErrorClass.DATA, "data") == "catch.1"
    assert take(ErrorClass.PERMANENT, "http_404") == "catch.2"


def test_an_error_that_no_catch_names_is_not_caught() -> None:
    config = """
        type: try
        body: [{id: a, type: stop}]
        catch: [{errors: [data], steps: [{id: b, type: stop}]}]
    """
    assert a_step(config).component.catch_for(ErrorClass.PERMANENT, "x") is None


def test_documents_inside_foreach_fail_alone_by_default() -> None:
    step = a_step("{type: foreach, size: 5, at_once: 2, steps: [{id: a, type: stop}]}")
    numbers = step.component
    assert (numbers.size, numbers.at_once, numbers.ordered) == (5, 2, True)
    assert step.paths["steps"][0].on_error == "fail_document"
    assert step.on_error == "fail"
