"""Documents as bytes: the one encoding in which they are submitted, checkpointed and stored.

JSON, one array of `{"id", "value", "media_type", "properties"}`. Values that JSON cannot hold
travel marked: bytes as `{"$bytes": base64}`; a mapping that itself has such a key is wrapped in
`{"$map": …}`. Equal documents give equal bytes, so a digest names them.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from molecule.model.document import Document
from molecule.model.errors import InvalidInput
from molecule.model.ids import DocumentId

_MARKS = ("$bytes", "$map")


def encode_documents(documents: Sequence[Document]) -> bytes:
    """The array as bytes; keys sorted, so that equal documents give equal bytes."""
    return encode_value(
        [
            {
                "id": document.id,
                "value": document.value,
                "media_type": document.media_type,
                "properties": document.properties,
            }
            for document in documents
        ]
    )


def decode_documents(payload: bytes) -> tuple[Document, ...]:
    """The documents that `encode_documents` was given; `InvalidInput` for anything else."""
    try:
        return tuple(
            Document(DocumentId(item["id"]), item["value"], item["media_type"], item["properties"])
            for item in decode_value(payload)
        )
    except (KeyError, TypeError) as error:
        raise InvalidInput("these bytes are not encoded documents") from error


def encode_value(value: Any) -> bytes:
    """Any document value as bytes."""
    try:
        plain = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        pass  # it holds bytes, or what no encoding has
    else:
        # Nearly always: no key looks like a mark, so the value is its own marked form.
        if b'"$' not in plain:
            return plain
    return orjson.dumps(_marked(value), option=orjson.OPT_SORT_KEYS)


def decode_value(payload: bytes) -> Any:
    """What `encode_value` was given; `InvalidInput` when the bytes are not such an encoding."""
    try:
        value = orjson.loads(payload)
        # A mark begins with this character, unless it is escaped.
        return _unmarked(value) if b"$" in payload or b"\\" in payload else value
    except (orjson.JSONDecodeError, binascii.Error, ValueError) as error:
        raise InvalidInput(f"these bytes are not an encoded value: {error}") from None


def _marked(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        inner = {key: _marked(item) for key, item in value.items()}
        return {"$map": inner} if len(inner) == 1 and next(iter(inner)) in _MARKS else inner
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key == "$bytes":
            return base64.b64decode(inner, validate=True)
        if key == "$map":
            return {name: _unmarked(item) for name, item in inner.items()}
    return {key: _unmarked(item) for key, item in value.items()}
