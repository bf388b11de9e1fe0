"""Document values to bytes in a declared format. Equal values give equal bytes."""

import csv
from typing import Any

import orjson

from molecule.expression.expression import data_error


def write(value: Any, format_: str, *, charset: str = "utf-8") -> bytes:
    """The bytes. Raises `StepError` (data) for a value that the format cannot hold."""
    if format_ == "bytes":
        if isinstance(value, bytes):
            return value
        raise data_error("format bytes needs bytes", field="format")
    if format_ == "text":
        if isinstance(value, str):
            return _encoded(value, charset)
        raise data_error("format text needs a text", field="format")
    try:
        if format_ == "json":
            return orjson.dumps(value)
        rows = value if isinstance(value, list) else [value]
        if format_ == "json_lines":
            return b"".join(orjson.dumps(row) + b"\n" for row in rows)
    except orjson.JSONEncodeError as error:
        raise data_error(f"cannot be written as JSON: {error}", field="format") from None
    return _encoded(_csv(rows), charset)


class _Lines:
    """As much of a file as the writer needs."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text)


def _csv(rows: list[Any]) -> str:
    names: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise data_error("format csv needs documents with fields", field="format")
        names.update(dict.fromkeys(row))
        for name, item in row.items():
            if isinstance(item, dict | list | bytes):
                raise data_error(f"format csv cannot hold the field {name}", field=name)
    out = _Lines()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([["" if row.get(n) is None else row[n] for n in names] for row in rows])
    return "".join(out.parts)


def _encoded(text: str, charset: str) -> bytes:
    try:
        return text.encode(charset)
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise data_error(f"{charset} has no {character!r}", field="charset") from None
