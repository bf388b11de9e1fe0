"""Each code of an error that the sources give is explained."""

import pytest

from molecule.cluster import claims, key_tables
from molecule.model import errors, failure_codes
from molecule.model.effect import ErrorClass
from tests.tidy import failure_codes as given
from tests.tidy.source import Source


def test_each_code_of_the_sources_is_explained() -> None:
    found = given.codes()
    assert len(found) > 40
    unexplained = {
        code: path
        for code, path in found.items()
        if failure_codes.told(code) is None and not code.endswith("*")
    }
    assert not unexplained, "explain them in molecule/model/failure_codes.py"


def test_codes_with_a_computed_end_are_known_families() -> None:
    assert {code for code in given.codes() if code.endswith("*")} == {"http_*", "table_*"}
    assert failure_codes.told("http_503") == failure_codes.TEXTS["http_*"]
    assert failure_codes.told("http_get") is None
    for answer in (key_tables.CONFLICT, key_tables.TAKEN, key_tables.MISSING):
        assert failure_codes.told(f"table_{answer}") is not None
    assert claims.DUPLICATE not in failure_codes.TEXTS, "a duplicate is no error"


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_a_class_is_explained_since_it_is_the_code_of_an_error_without_one(
    error_class: ErrorClass,
) -> None:
    assert errors.StepError("x", error_class=error_class).error_code == error_class.value
    assert failure_codes.told(error_class.value) is not None


@pytest.mark.parametrize(
    "text",
    [
        'raise StepError("x", error_class=C, error_code="new")',
        'NEW = "new"\nfail(error_code=NEW)',
        'Failure(C, "new", "x")',
        'said.error_code = "new"',
        'def no(code, told):\n    return E(told, error_code=code)\nno("new", "x")',
        'def no(code):\n    return E(error_code=code)\nno("new" if a else "new")',
    ],
)
def test_a_planted_code_is_found(text: str) -> None:
    assert set(given.codes((Source("molecule/steps/x.py", text),))) == {"new"}
