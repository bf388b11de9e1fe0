"""Documents that a person hands to a command: as text, as a file, on standard input."""

import sys
from pathlib import Path
from typing import Any

import orjson

from molecule.cli.failures import ExitCode, Failure


def documents(text: str, file: Path | None) -> list[Any]:
    """The documents given, in order. No input at all is one execution without documents."""
    if text and file is not None:
        raise Failure(
            "--input and --file were both given",
            then="give the documents in one way",
            code=ExitCode.WRONG_USAGE,
        )
    if text:
        return [_parsed(text.encode(), "--input")]
    if file is None:
        return []
    if str(file) == "-":
        return _from_bytes(sys.stdin.buffer.read(), "standard input", are_lines=False)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Failure(
            f"{file} cannot be read", why=error.strerror or str(error), code=ExitCode.WRONG_USAGE
        ) from None
    return _from_bytes(content, str(file), are_lines=file.suffix in {".jsonl", ".ndjson"})


def _from_bytes(content: bytes, source: str, *, are_lines: bool) -> list[Any]:
    if are_lines:
        return [
            _parsed(line, source, first_line=number)
            for number, line in enumerate(content.splitlines(), start=1)
            if line.strip()
        ]
    value = _parsed(content, source)
    return value if isinstance(value, list) else [value]


def _parsed(content: bytes, source: str, *, first_line: int = 1) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise Failure(
            f"{source} is not JSON",
            why=f"line {line}, column {error.colno}: {error.msg}",
            then="mend it; texts need double quotes",
            code=ExitCode.WRONG_USAGE,
        ) from None
