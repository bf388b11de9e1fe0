"""Documents: what moves between steps, and the references by which the cluster keeps them.

A document's value is JSON-shaped (None, bool, int, float, str, list, dict) or bytes. Its id comes
from its parent and position, so a repeat of a step gives the same ids.
"""

from dataclasses import dataclass, field
from typing import Any

from molecule.model.ids import Digest, DocumentId


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A payload in the document store: sha256 of its bytes in hex, and their number."""

    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Document:
    """A payload with its media type and properties. Never changed in place: steps make new ones."""

    id: DocumentId
    value: Any
    media_type: str = "application/json"
    properties: dict[str, Any] = field(default_factory=dict)

    def child(self, position: int, value: Any) -> "Document":
        """A document that descends from this one, as the `position`-th (from 0) of its children."""
        return Document(
            DocumentId(f"{self.id}.{position}"), value, self.media_type, dict(self.properties)
        )

    def with_value(self, value: Any) -> "Document":
        """The same document with another value."""
        return Document(self.id, value, self.media_type, self.properties)
