"""`split`: one document into many."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.formats.reading import read
from molecule.component.formats.records import (
    CHARSETS,
    COMPRESSIONS,
    FORMATS,
    BadRecord,
    Declared,
    Unreadable,
)
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import NOTHING, data_error
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

_LINES: Final = "lines"
_PARTS_DEFAULT: Final = 10_000
_PARTS_MAX: Final = 100_000
_RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
_JSON: Final = "application/json"


@step(
    "split",
    Spec(
        summary="Make many documents of each: the items of an array, or the records of a text.",
        fields={
            "path": Field.expression(
                "Gives the items; one value is one item, nothing is none.", required=False
            ),
            "format": Field.choice(
                "The document is a text or bytes that hold records; lines: one text per line.",
                (*FORMATS, _LINES),
                required=False,
            ),
            "charset": Field.choice("Of bytes.", CHARSETS, default="utf-8"),
            "compression": Field.choice("How bytes are packed.", COMPRESSIONS, default="none"),
            "max": Field.integer(
                "More parts of one document than this are an error of class limit.",
                default=_PARTS_DEFAULT,
                minimum=1,
                maximum=_PARTS_MAX,
            ),
        },
        errors="data: no records of this format, named by line. limit: more parts than max.",
        example=Example(
            config="{type: split, path: lines}",
            given=({"order": 7, "lines": [{"article": "A"}, {"article": "B"}]},),
            gives=((None, {"article": "A"}), (None, {"article": "B"})),
        ),
    ),
)
class Split:
    """Later steps see the document that was split as `$parent`."""

    def __init__(self, config: Config) -> None:
        self._path = config.optional_expression("path")
        self._format = config.optional_text("format")
        self._charset = config.text("charset")
        self._compression = config.text("compression")
        self._max = config.integer("max")
        if (self._path is None) == (self._format is None):
            raise InvalidConfig("split needs one of path and format")

    def process(self, document: Document, context: StepContext) -> list[Emit]:
        """The parts, in their order."""
        values = self._items(document, context) if self._path else self._records(document)
        found = list(islice(values, self._max + 1))
        if len(found) > self._max:
            message = f"split: more than {self._max} parts (max)"
            raise StepError(message, error_class=ErrorClass.LIMIT, field="max")
        return [Emit(None, _part(document, at, value)) for at, value in enumerate(found)]

    def _items(self, document: Document, context: StepContext) -> Iterator[Any]:
        value = self._path.value(document, context.names) if self._path else NOTHING
        if value is NOTHING:
            return iter(())
        return iter(value if isinstance(value, list) else [value])

    def _records(self, document: Document) -> Iterator[Any]:
        content, charset = document.value, self._charset
        if isinstance(content, str):
            content, charset = content.encode(), "utf-8"
        if not isinstance(content, bytes):
            raise data_error("format: the document is neither text nor bytes", field="format")
        is_lines = self._format == _LINES
        declared = Declared(
            "text" if is_lines else self._format or "",
            charset,
            self._compression,
            record_bytes_max=_RECORD_BYTES_MAX,
        )
        try:
            for record in read([content], declared):
                if isinstance(record, BadRecord):
                    message = f"line {record.line}: {record.reason}"
                    raise data_error(message, field="format")
                yield from record.value.splitlines() if is_lines else [record.value]
        except Unreadable as error:
            raise data_error(f"format: {error}", field="format") from None


def _part(document: Document, at: int, value: Any) -> Document:
    part = document.child(at, value)
    kind = "text/plain" if isinstance(value, str) else _JSON
    return Document(part.id, value, kind, part.properties)
