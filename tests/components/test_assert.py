"""`assert`: it fails with what broke the contract."""

from typing import Any

import pytest

from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from molecule.model.ids import DocumentId
from tests.components.calls import a_context, a_step
from tests.components.faults import faults_of


def handed_on(config: str, *values: Any) -> list[Any]:
    documents = [Document(DocumentId(str(at)), value) for at, value in enumerate(values)]
    emitted = a_step(config).component.process_list(documents, a_context())
    return [emit.document.value for emit in emitted]


def test_documents_go_on_while_the_contract_holds() -> None:
    config = "{type: assert, that: n > 0, together: '$count($) = 2'}"
    assert handed_on(config, {"n": 1}, {"n": 2}) == [{"n": 1}, {"n": 2}]


def test_a_broken_contract_names_the_documents_that_break_it() -> None:
    with pytest.raises(StepError) as raised:
        handed_on("{type: assert, that: n > 0}", {"n": 0}, {"n": 2}, {"n": -1})
    error = raised.value
    assert (error.error_class, error.error_code) == (ErrorClass.DATA, "assert")
    assert error.message == ('n > 0 does not hold for 2 of 3 documents: 0: {"n":0}, 2: {"n":-1}')


def test_a_broken_contract_over_the_list_shows_its_beginning() -> None:
    with pytest.raises(StepError, match="does not hold for the 4 documents, which begin 1, 2, 3"):
        handed_on("{type: assert, together: '$sum($) = 11'}", 1, 2, 3, 4)


def test_it_needs_a_contract() -> None:
    assert any(
        "assert needs that or together" in told for told in faults_of("{id: a, type: assert}")
    )
