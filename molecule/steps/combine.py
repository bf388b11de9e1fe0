"""`combine`: many documents into one."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.formats.records import CHARSETS, FORMATS
from molecule.component.formats.writing import write
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document

_SIZE_MAX: Final = 100_000
_MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "json": "application/json",
    "json_lines": "application/jsonl",
    "text": "text/plain",
    "bytes": "application/octet-stream",
}


@step(
    "combine",
    Spec(
        summary="Make one document of many: those with an equal key, or so many at a time.",
        fields={
            "by": Field.expression(
                "Gives the key; without it all belong together.", required=False
            ),
            "size": Field.integer(
                "Documents of one key in one; 0: all of them.", default=0, maximum=_SIZE_MAX
            ),
            "format": Field.choice(
                "Write the list as bytes in this format; without it the value is the list.",
                tuple(name for name in FORMATS if name not in {"text", "bytes"}),
                required=False,
            ),
            "charset": Field.choice("Of CSV.", CHARSETS, default="utf-8"),
        },
        per="list",
        example=Example(
            config="{type: combine, by: order}",
            given=({"order": 1, "n": 1}, {"order": 2, "n": 2}, {"order": 1, "n": 3}),
            gives=(
                (None, [{"order": 1, "n": 1}, {"order": 1, "n": 3}]),
                (None, [{"order": 2, "n": 2}]),
            ),
        ),
    ),
)
class Combine:
    """The one keeps id and properties of the first that went into it."""

    def __init__(self, config: Config) -> None:
        self._by = config.optional_expression("by")
        self._size = config.integer("size")
        self._format = config.optional_text("format")
        self._charset = config.text("charset")

    def process_list(self, documents: Sequence[Document], context: StepContext) -> list[Emit]:
        """One document per key and batch, in the order of the first of each."""
        groups: dict[str, list[Document]] = {}
        for place, document in enumerate(documents):
            key = self._by.text(document, context.names_of(place)) if self._by else ""
            groups.setdefault(key, []).append(document)
        batches = [batch for group in groups.values() for batch in self._batches(group)]
        places = {document.id: place for place, document in enumerate(documents)}
        batches.sort(key=lambda batch: places[batch[0].id])
        return [Emit(None, self._one(batch)) for batch in batches]

    def _batches(self, group: list[Document]) -> Iterator[list[Document]]:
        size = self._size or len(group)
        return (group[start : start + size] for start in range(0, len(group), size))

    def _one(self, batch: list[Document]) -> Document:
        first = batch[0]
        value: Any = [document.value for document in batch]
        if self._format is None:
            return Document(first.id, value, "application/json", first.properties)
        content = write(value, self._format, charset=self._charset)
        return Document(first.id, content, _MEDIA_TYPES[self._format], first.properties)
