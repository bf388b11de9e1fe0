"""Documents that a person hands to a command: as text, as a file, on standard input."""

import sys
from pathlib import Path
from typing import Any

import orjson

from molecule.cli.failures import ExitCode, Failure
from molecule.model import json_numbers


def documents(text: str, file: Path | None) -> list[Any]:
    """The documents given, in order. No input at all is one execution without documents."""
    _check_one_way(text, file)
    if text:
        return [_parsed(text.encode(), "--input")]
    if file is None:
        return []
    content = _content(file)
    return _from_bytes(content, _source(file), are_lines=file.suffix in {".jsonl", ".ndjson"})


def value(text: str, file: Path | None) -> Any:
    """One JSON value, a list included; nothing given is None."""
    _check_one_way(text, file)
    if text:
        return _parsed(text.encode(), "--input")
    return None if file is None else _parsed(_content(file), _source(file))


def _check_one_way(text: str, file: Path | None) -> None:
    if text and file is not None:
        raise Failure(
            "--input and --file were both given",
            then="give the documents in one way",
            code=ExitCode.WRONG_USAGE,
        )


def _source(file: Path) -> str:
    return "standard input" if str(file) == "-" else str(file)


def _content(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise Failure(
            f"{file} cannot be read", why=error.strerror or str(error), code=ExitCode.WRONG_USAGE
        ) from None


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
        return json_numbers.loads(content, json_numbers.refuse)
    except json_numbers.LosesDigits as error:
        raise Failure(
            f"a number in {source} cannot be kept",
            why=str(error),
            then="put it into double quotes",
            code=ExitCode.WRONG_USAGE,
        ) from None
    except orjson.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise Failure(
            f"{source} is not JSON",
            why=f"line {line}, column {error.colno}: {error.msg}",
            then="mend it; texts need double quotes",
            code=ExitCode.WRONG_USAGE,
        ) from None
