"""Lists of documents as the interpreter keeps and encodes them.

A list only grows at its end, so full blocks of it are encoded once and named by digest: saving a
position again and again costs what is new. Order helpers keep "in input order" for blocks of steps.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from molecule.model import payload
from molecule.model.document import Document, DocumentRef
from molecule.model.ids import Digest, DocumentId

BLOCK_DOCUMENTS: Final = 256
"""Documents per encoded block; a full block is never encoded again."""
INLINE_BYTES_MAX: Final = 2048
"""A larger block is stored by digest, a smaller one stands in the position itself."""


@dataclass(frozen=True, slots=True)
class Block:
    """Encoded documents; `reference` is None while they are small enough to stand inline."""

    content: bytes
    reference: DocumentRef | None


def block_of(content: bytes) -> Block:
    """Encoded bytes, named by their digest when they are large."""
    if len(content) <= INLINE_BYTES_MAX:
        return Block(content, None)
    return Block(content, reference_of(content))


def reference_of(content: bytes) -> DocumentRef:
    """The name of these bytes in the document store."""
    return DocumentRef(Digest(hashlib.sha256(content).hexdigest()), len(content))


class DocumentList:
    """Documents in order. Only its frame appends; nothing is ever taken out or changed."""

    __slots__ = ("_sealed", "items")

    def __init__(self, items: Iterable[Document] = ()) -> None:
        self.items: list[Document] = list(items)
        self._sealed: list[Block] = []

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Document:
        return self.items[index]

    def append(self, document: Document) -> None:
        """One more at the end."""
        self.items.append(document)

    def extend(self, documents: Iterable[Document]) -> None:
        """More at the end."""
        self.items.extend(documents)

    def blocks(self) -> list[Block]:
        """The whole list, encoded; only what is not in a full block is encoded anew."""
        full = len(self.items) // BLOCK_DOCUMENTS
        for number in range(len(self._sealed), full):
            start = number * BLOCK_DOCUMENTS
            block = self.items[start : start + BLOCK_DOCUMENTS]
            self._sealed.append(block_of(payload.encode_documents(block)))
        rest = self.items[full * BLOCK_DOCUMENTS :]
        if not rest:
            return list(self._sealed)
        return [*self._sealed, block_of(payload.encode_documents(rest))]


def in_input_order(inputs: Sequence[Document], outputs: Sequence[Document]) -> Sequence[Document]:
    """The outputs, ordered by the input that each descends from.

    One that descends from none (an aggregate, say) stays behind its predecessor.
    """
    if len(inputs) < 2 or len(outputs) < 2:
        return outputs
    places = {document.id: place for place, document in enumerate(inputs)}
    keyed = []
    last = 0
    for document in outputs:
        last = _place(places, document.id, last)
        keyed.append(last)
    if all(before <= after for before, after in pairwise(keyed)):
        return outputs
    return [outputs[index] for index in sorted(range(len(outputs)), key=keyed.__getitem__)]


def ancestor(inputs: Sequence[Document], document: Document) -> Document:
    """The input that a document descends from; the document itself when none is known."""
    known = {item.id: item for item in inputs}
    for name in lineage(document.id):
        if name in known:
            return known[name]
    return document


def lineage(document: DocumentId) -> Iterator[DocumentId]:
    """The id, its parent's, and so on: `7.2.0`, `7.2`, `7`."""
    name = str(document)
    yield document
    while (cut := name.rfind(".")) > 0:
        name = name[:cut]
        yield DocumentId(name)


def _place(places: dict[DocumentId, int], document: DocumentId, default: int) -> int:
    for name in lineage(document):
        if name in places:
            return places[name]
    return default
