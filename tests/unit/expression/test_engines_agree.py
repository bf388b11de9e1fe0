"""The two engines are each other's oracle on the language that processes use."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molecule.config import Limits
from molecule.expression.engine import make
from molecule.expression.expression import compile_one
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.errors import StepError
from molecule.model.ids import DocumentId

FAST, SLOW = make("jlens", Limits()), make("jsonata-python", Limits())
ORDER: dict[str, Any] = {
    "order": "A-7",
    "qty": 3,
    "price": 12.5,
    "lines": [
        {"sku": "x", "n": 2, "tags": ["a", "b"]},
        {"sku": "y", "n": 1, "tags": []},
        {"sku": "z", "n": 5},
    ],
    "note": None,
    "address": {"city": "Köln", "zip": "50667"},
    "flag": True,
    "empty": [],
    "text": "the quick brown fox",
}
CASES = (
    "order", "missing", "note", "empty", "lines", "lines.sku", "lines[n > 1].sku", "lines[0]",
    "lines[-1].sku", "lines.tags", "lines[sku = 'y'].tags", "lines[].sku", "lines[0].tags[]",
    "$sum(lines.n)", "$count(lines)", "$count(missing)", "$max(lines.n)", "$average(lines.n)",
    "qty * price", "qty / 2", "qty % 2", "-qty", "qty + missing", "price > 10 and flag",
    "missing = 1", "note = null", "'a' & 1 & true & null", "order & missing",
    "$uppercase(address.city)", "$substring(text, 4, 5)", "$length(text)", "$split(text, ' ')",
    "$join(lines.sku, '-')", "$contains(text, 'fox')", "$replace(text, 'quick', 'slow')",
    "$number('12.50')", "$string(price)", "$boolean(lines)", "$not(flag)", "$exists(note)",
    "$keys(address)", "$merge([address, {'zip': 1}])", "$sort(lines.n)", "$reverse([1, 2, 3])",
    "lines^(>n).sku", "lines^(sku)[0]", "$map(lines, function($l){$l.n * 2})",
    "$filter(lines, function($l){$l.n > 1}).sku", "$reduce(lines.n, function($a, $b){$a + $b})",
    "flag ? 'yes' : 'no'", "missing ? 'yes' : 'no'", "{'a': qty, 'b': missing, 'c': note}",
    "lines{sku: n}", "[1..5]", "[qty, missing, note]", "$round(2.5)", "$floor(price)",
    "$formatNumber(1234.5, '#,##0.00')", "$toMillis('2013-01-01T10:00:00Z')",
    "$fromMillis(1357034400000)", "address.*", "**.sku", "$type(note)", "$type(missing)",
    "lines.(sku & '/' & n)", "($x := qty; $y := $x + 1; $x * $y)", "$lookup(address, 'zip')",
    "$distinct([1, 2, 1])", "qty in [1, 2, 3]", "order ~> $lowercase", "$spread(address)",
)  # fmt: skip
FAILING = (
    "$number('NA')", "$number(text)", "1/0", "'a' * 2", "flag + 1", "'a' < 1", "$sum(text)",
    "$toMillis('soon')", "$substring(1, 2)",
)  # fmt: skip


def a_document(value: Any) -> Document:
    return Document(DocumentId("0"), value)


@pytest.mark.parametrize("source", CASES)
def test_both_engines_give_the_same(source: str) -> None:
    document = a_document(ORDER)
    fast = compile_one(source, FAST).value(document, Names())
    slow = compile_one(source, SLOW).value(document, Names())
    assert fast == slow


@pytest.mark.parametrize("source", FAILING)
def test_both_engines_refuse_with_the_same_class(source: str) -> None:
    classes = []
    for engine in (FAST, SLOW):
        with pytest.raises(StepError) as raised:
            compile_one(source, engine).value(a_document(ORDER), Names())
        classes.append(raised.value.error_class)
    assert classes[0] is classes[1]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_a_document_passes_both_engines_unchanged(value: Any) -> None:
    boxed = {"value": value}
    assert compile_one("$", FAST).value(a_document(boxed), Names()) == boxed
    assert compile_one("$", SLOW).value(a_document(boxed), Names()) == boxed
