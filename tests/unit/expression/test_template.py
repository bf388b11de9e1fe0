"""Literals with `${}`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molecule.config import Limits
from molecule.expression.engine import Fault, make
from molecule.expression.names import Names
from molecule.expression.template import compile_template
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from molecule.model.ids import DocumentId

ENGINE = make("jlens", Limits())


def filled(literal: Any, value: Any) -> Any:
    template = compile_template(literal, ENGINE, field="path")
    return template.value(Document(DocumentId("0"), value), Names())


def test_values_are_put_into_the_text() -> None:
    assert filled("/late/${flight}/${n}", {"flight": "UA1", "n": 7}) == "/late/UA1/7"


def test_one_replacement_alone_keeps_its_type() -> None:
    value = {"n": 7, "list": [1], "nothing": None}
    assert filled(["${n}", "${list}", "${nothing}"], value) == [7, [1], None]


def test_a_doubled_dollar_is_a_literal_brace() -> None:
    assert filled("$${n} costs $5 and $$${n}", {"n": 7}) == "${n} costs $5 and $${n}"


def test_braces_inside_the_expression_belong_to_it() -> None:
    assert filled("<${ {'a': '}'}.a & \"{\" }>", {}) == "<}{>"


def test_nested_shapes_are_filled_and_plain_ones_are_fixed() -> None:
    literal = {"a": ["${x}", 2, True, None], "b": {"c": "x=${x}"}}
    assert filled(literal, {"x": 1}) == {"a": [1, 2, True, None], "b": {"c": "x=1"}}
    assert compile_template({"a": [1, "$${"]}, ENGINE).fixed


@pytest.mark.parametrize("literal", ["${gone}", "a ${gone}", {"x": ["${gone}"]}])
def test_nothing_is_an_error_of_the_document(literal: Any) -> None:
    with pytest.raises(StepError, match=r"\$\{gone\} yields nothing") as raised:
        filled(literal, {})
    assert raised.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_only_texts_numbers_and_booleans_stand_inside_a_text(value: Any) -> None:
    with pytest.raises(StepError, match="must be a text, number or boolean"):
        filled("a ${x}", {"x": value})


def test_only_what_is_replaced_is_escaped() -> None:
    template = compile_template("/a b/${x}", ENGINE)
    document = Document(DocumentId("0"), {"x": "c d"})
    assert template.text(document, Names(), lambda text: text.upper()) == "/a b/C D"


def test_a_brace_that_is_never_closed_is_refused_with_its_place() -> None:
    with pytest.raises(Fault, match="never closed") as raised:
        compile_template("abc ${x", ENGINE)
    assert raised.value.position == 4


def test_a_bad_expression_is_refused_with_its_place_in_the_text() -> None:
    with pytest.raises(Fault) as raised:
        compile_template("abc ${1 +} d", ENGINE)
    assert raised.value.position is not None
    assert raised.value.position >= 6


def test_a_text_full_of_braces_costs_bounded_work() -> None:
    with pytest.raises(Fault):
        compile_template("${(" + "}" * 20_000, ENGINE)


@given(st.text(max_size=40))
def test_a_text_with_every_brace_escaped_is_itself(text: str) -> None:
    plain = text.replace("${", "")
    assert filled(plain + "$${" + plain, {}) == plain + "${" + plain


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_value_lands_between_its_literals(before: str, value: str, after: str) -> None:
    before, after = before.replace("$", ""), after.replace("$", "")
    assert filled(before + "${x}" + after, {"x": value}) == before + value + after
