"""`split`: parts in order, with ids that a repeat gives again."""

import gzip
from typing import Any

import pytest

from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from tests.components.calls import a_context, a_document, a_step
from tests.components.faults import faults_of


def parts(config: str, value: Any) -> list[Any]:
    emitted = a_step(config).component.process(a_document(value, p=1), a_context())
    assert [str(emit.document.id) for emit in emitted] == [f"0.{at}" for at in range(len(emitted))]
    assert all(emit.document.properties == {"p": 1} for emit in emitted)
    return [emit.document.value for emit in emitted]


@pytest.mark.parametrize(
    ("lines", "found"), [([{"a": 1}, 2], [{"a": 1}, 2]), ({"a": 1}, [{"a": 1}]), ([], [])]
)
def test_items_of_a_path(lines: Any, found: list[Any]) -> None:
    assert parts("{type: split, path: lines}", {"lines": lines}) == found


def test_a_path_that_gives_nothing_makes_no_documents() -> None:
    assert parts("{type: split, path: lines}", {}) == []


@pytest.mark.parametrize(
    ("format_", "content", "found"),
    [
        ("csv", b"a,b\n1,x\n2,y\n", [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]),
        ("json_lines", b'{"a":1}\n2\n', [{"a": 1}, 2]),
        ("lines", "one\r\ntwo\n\nfour", ["one", "two", "", "four"]),
        ("lines", b"caf\xc3\xa9\n", ["caf\u00e9"]),
        ("json", b"[1]", [[1]]),
    ],
)
def test_records_of_a_format(format_: str, content: Any, found: list[Any]) -> None:
    assert parts(f"{{type: split, format: {format_}}}", content) == found


def test_packed_bytes_are_unpacked() -> None:
    config = "{type: split, format: lines, compression: gzip}"
    assert parts(config, gzip.compress(b"a\nb\n")) == ["a", "b"]


def test_more_parts_than_max_are_refused_before_any_is_handed_on() -> None:
    with pytest.raises(StepError, match=r"more than 2 parts \(max\)") as raised:
        parts("{type: split, path: lines, max: 2}", {"lines": [1, 2, 3]})
    assert raised.value.error_class is ErrorClass.LIMIT


@pytest.mark.parametrize(
    ("format_", "content", "told"),
    [
        ("csv", b"a,b\n1\n", "line 2: 1 fields, the header has 2"),
        ("json_lines", b"{}\nzzz\n", "line 2: not JSON"),
        ("csv", {"a": 1}, "the document is neither text nor bytes"),
        ("lines", b"\xff", "not utf-8"),
    ],
)
def test_what_is_no_record_is_a_data_error(format_: str, content: Any, told: str) -> None:
    with pytest.raises(StepError, match=told) as raised:
        parts(f"{{type: split, format: {format_}}}", content)
    assert raised.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize("fields", ["", ", path: a, format: csv"])
def test_it_needs_one_way_to_split(fields: str) -> None:
    told = faults_of(f"{{id: it, type: split{fields}}}")
    assert any("split needs one of path and format" in fault for fault in told)
