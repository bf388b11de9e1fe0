"""`combine`: which documents become one."""

from typing import Any

import pytest

from molecule.model.document import Document
from molecule.model.errors import StepError
from molecule.model.ids import DocumentId
from tests.components.calls import a_context, a_step


def combined(config: str, *values: Any) -> list[tuple[str, Any, str]]:
    documents = [Document(DocumentId(str(at)), value) for at, value in enumerate(values)]
    emitted = a_step(config).component.process_list(documents, a_context())
    return [(emit.document.id, emit.document.value, emit.document.media_type) for emit in emitted]


JSON = "application/json"


def test_without_a_key_all_become_one() -> None:
    assert combined("{type: combine}", 1, 2) == [("0", [1, 2], JSON)]


def test_size_makes_batches_of_each_key_in_the_order_of_their_first() -> None:
    given = [{"k": k, "n": n} for n, k in enumerate("aabab")]
    found = combined("{type: combine, by: k, size: 2}", *given)
    assert [(id_, [item["n"] for item in value]) for id_, value, _ in found] == [
        ("0", [0, 1]),
        ("2", [2, 4]),
        ("3", [3]),
    ]


def test_a_format_writes_the_list_as_bytes() -> None:
    given = [{"a": 1, "b": "x"}, {"a": 2}]
    assert combined("{type: combine, format: csv}", *given) == [
        ("0", b"a,b\r\n1,x\r\n2,\r\n", "text/csv")
    ]
    assert combined("{type: combine, format: json_lines}", 1, 2)[0][1] == b"1\n2\n"


def test_a_document_without_the_key_fails_the_step() -> None:
    with pytest.raises(StepError, match="by: k must give a text, gave nothing"):
        combined("{type: combine, by: k}", {"k": 1}, {})
