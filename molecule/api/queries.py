"""Query parameters: one declaration serves the check and the OpenAPI document.

A name that was not declared, a name given twice or a value out of form is refused, with its name: a
filter that is silently ignored would answer another question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request

from molecule.config import Limits
from molecule.definition import durations
from molecule.model.errors import InvalidInput, LimitExceeded
from molecule.model.execution import ExecutionState


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter. A name ending in `.` begins many: `track.` stands for `track.NAME`."""

    name: str
    doc: str
    kind: str = "text"
    """`text | state | instant | duration | count | flag`"""


WAIT: Final = Parameter(
    "wait", "How long to wait for the end of the execution: `30s`, `500ms`.", "duration"
)
LIMIT: Final = Parameter("limit", "Rows of one page.", "count")
CURSOR: Final = Parameter("cursor", "`next` of the page before.")
FRESH: Final = Parameter(
    "fresh",
    "`true`: read behind everything committed before this call, not this node's copy.",
    "flag",
)
PAGE: Final = (LIMIT, CURSOR, FRESH)


def accept(request: Request, parameters: Sequence[Parameter], *, limits: Limits) -> dict[str, str]:
    """The parameters given, checked and in the form of the door: instants and durations in ms."""
    exact = {item.name: item for item in parameters if not item.name.endswith(".")}
    accepted: dict[str, str] = {}
    unknown: list[str] = []
    for name, text in request.query_params.multi_items():
        parameter = exact.get(name) or _by_beginning(name, parameters)
        if parameter is None:
            unknown.append(name)
            continue
        if name in accepted:
            raise InvalidInput(f"{name} is given twice", field=name)
        if len(text) > limits.filter_length_max:
            raise LimitExceeded(
                limit="filter_length_max", allowed=limits.filter_length_max, asked=len(text)
            )
        accepted[name] = _checked(text, name=name, kind=parameter.kind, limits=limits)
    if unknown:
        known = ", ".join(parameter.name for parameter in parameters) or "none"
        message = f"no such query parameter: {', '.join(sorted(unknown))} (known: {known})"
        raise InvalidInput(message, unknown_fields=sorted(unknown))
    return accepted


def wait_ms(accepted: Mapping[str, str]) -> int:
    """The wait that was asked for; 0 when none was."""
    return int(accepted.get(WAIT.name, "0"))


def documented(parameters: Sequence[Parameter], *headers: str) -> dict[str, Any]:
    """The same parameters for the OpenAPI document, and request headers by name."""
    listed: list[dict[str, Any]] = [
        {
            "name": f"{parameter.name}NAME" if parameter.name.endswith(".") else parameter.name,
            "in": "query",
            "required": False,
            "description": parameter.doc,
            "schema": _schema(parameter.kind),
        }
        for parameter in parameters
    ]
    listed += [
        {"name": header, "in": "header", "required": False, "schema": {"type": "string"}}
        for header in headers
    ]
    return {"parameters": listed}


def _by_beginning(name: str, parameters: Sequence[Parameter]) -> Parameter | None:
    for parameter in parameters:
        beginning = parameter.name
        if beginning.endswith(".") and name.startswith(beginning) and name != beginning:
            return parameter
    return None


def _checked(text: str, *, name: str, kind: str, limits: Limits) -> str:
    if kind == "state":
        return _states(text, name)
    if kind == "instant":
        return str(_instant_ms(text, name))
    if kind == "duration":
        asked = _duration_ms(text, name)
        if asked > limits.wait_ms_max:
            raise LimitExceeded(limit="wait_ms_max", allowed=limits.wait_ms_max, asked=asked)
        return str(asked)
    if kind == "count":
        return str(_count(text, name=name, limits=limits))
    if kind == "flag" and text not in {"true", "false"}:
        raise InvalidInput(f"{name} must be true or false, not {text!r}", field=name)
    return text


def _states(text: str, name: str) -> str:
    asked = [part.strip().upper() for part in text.split(",")]
    wrong = [part for part in asked if part not in set(ExecutionState)]
    if wrong:
        known = ", ".join(ExecutionState)
        raise InvalidInput(f"{name}: no such state {wrong[0]!r} (known: {known})", field=name)
    return ",".join(asked)


def _instant_ms(text: str, name: str) -> int:
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        message = f"{name} must be like 2026-01-31T12:00:00Z (with a time zone) or milliseconds"
        raise InvalidInput(message, field=name)
    return int(instant.timestamp() * 1000)


def _duration_ms(text: str, name: str) -> int:
    asked = durations.milliseconds(text)
    if asked is None:
        raise InvalidInput(f"{name} must be like 30s, 500ms or 1m, not {text!r}", field=name)
    return asked


def _count(text: str, *, name: str, limits: Limits) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise InvalidInput(f"{name} must be a number from 1, not {text!r}", field=name)
    if int(text) > limits.page_size_max:
        raise LimitExceeded(limit="page_size_max", allowed=limits.page_size_max, asked=int(text))
    return int(text)


def _schema(kind: str) -> dict[str, Any]:
    if kind == "count":
        return {"type": "integer", "minimum": 1}
    if kind == "flag":
        return {"type": "boolean"}
    return {"type": "string"}
