"""`message`: values from templates."""

from typing import Any

import pytest

from molecule.model.document import Document
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step


def made(config: str, value: Any) -> Document:
    document: Document = (
        a_step(config).component.process(a_document(value, p=1), a_context()).document
    )
    return document


def test_a_text_becomes_a_text_and_keeps_id_and_properties() -> None:
    found = made('{type: message, value: "Dear ${name}"}', {"name": "Ann"})
    assert found == Document(found.id, "Dear Ann", "text/plain", {"p": 1})


def test_shapes_keep_the_types_of_what_is_put_in() -> None:
    found = made('{type: message, value: {a: "${n}", b: [true, "n is ${n}"]}}', {"n": 2})
    assert (found.value, found.media_type) == ({"a": 2, "b": [True, "n is 2"]}, "application/json")


def test_the_media_type_can_be_told() -> None:
    assert made("{type: message, value: <p/>, media_type: text/html}", {}).media_type == "text/html"


def test_what_yields_nothing_is_an_error_of_the_document() -> None:
    with pytest.raises(StepError, match="yields nothing"):
        made('{type: message, value: "Dear ${name}"}', {})
