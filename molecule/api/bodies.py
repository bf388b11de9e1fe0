"""Bodies of requests: read within a size and a time, parsed with places, checked with all faults.

The size is counted while reading, so nobody makes the gateway hold more than the limit. FastAPI's
own body handling is not used: it reads first and hides why reading failed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from molecule.api.problems import BodyTooSlow, InvalidJson, UnsupportedMediaType
from molecule.config import Limits
from molecule.model import json_numbers
from molecule.model.errors import InvalidInput, LimitExceeded

_JSON = frozenset({"application/json", ""})

Body = TypeVar("Body", bound=BaseModel)


async def read(request: Request, model: type[Body], *, limits: Limits, limit: str) -> Body:
    """The body as `model`, at most as large as the field `limit` of `limits` says."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in _JSON:
        message = f"send the body as application/json, not as {declared}"
        raise UnsupportedMediaType(message)
    allowed: int = getattr(limits, limit)
    payload = await receive(request, limits=limits, limit=limit, allowed=allowed)
    return check(parse(payload), model)


async def read_value(request: Request, *, limits: Limits, limit: str) -> Any:
    """The body as any JSON value; None when there is none."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in _JSON:
        message = f"send the body as application/json, not as {declared}"
        raise UnsupportedMediaType(message)
    allowed: int = getattr(limits, limit)
    payload = await receive(request, limits=limits, limit=limit, allowed=allowed)
    return parse(payload) if payload.strip() else None


async def receive(request: Request, *, limits: Limits, limit: str, allowed: int) -> bytes:
    """The bytes of a body, at most `allowed`; a refusal names `limit`."""
    declared = request.headers.get("content-length", "")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.http_body_ms_max / 1000):
            async for part in request.stream():
                size += len(part)
                if size <= allowed:
                    parts.append(part)
                    continue
                # A caller that is still sending does not read. So as much again is read and
                # dropped, or most callers would see a broken connection instead of the refusal.
                parts.clear()
                if size > 2 * allowed:
                    break
    except TimeoutError:
        message = f"the body did not arrive within http_body_ms_max of {limits.http_body_ms_max} ms"
        raise BodyTooSlow(
            message, limit="http_body_ms_max", allowed=limits.http_body_ms_max, received_bytes=size
        ) from None
    except ClientDisconnect:
        raise InvalidInput("the caller went away before the body was complete") from None
    if size > allowed:
        asked = max(size, int(declared)) if declared.isdecimal() else size
        raise LimitExceeded(limit=limit, allowed=allowed, asked=asked)
    return b"".join(parts)


def parse(payload: bytes, asked: str = "a JSON object") -> Any:
    """The JSON value of a body; `InvalidJson` with line and column when it is none."""
    if not payload.strip():
        raise InvalidJson(f"the body is empty; send {asked}", line=1, column=1)
    try:
        return json_numbers.loads(payload, json_numbers.refuse)
    except json_numbers.LosesDigits as error:
        before = payload[: payload.find(error.digits.encode())]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        message = f"the body at line {line}, column {column}: {error}"
        raise InvalidJson(message, line=line, column=column) from None
    except orjson.JSONDecodeError as error:
        message = f"the body is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise InvalidJson(message, line=error.lineno, column=error.colno) from None


def check(value: Any, model: type[Body]) -> Body:
    """`value` as `model`; `InvalidInput` that lists every fault, unknown fields by name."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False)]
        unknown = sorted(fault["field"] for fault in faults if fault["unknown"])
        message = "; ".join(f"{fault['field'] or 'body'}: {fault['what']}" for fault in faults)
        listed = [{"field": fault["field"], "what": fault["what"]} for fault in faults]
        facts: dict[str, object] = {"faults": listed}
        if unknown:
            facts["unknown_fields"] = unknown
        raise InvalidInput(message, **facts) from None


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    is_unknown = fault["type"] == "extra_forbidden"
    what = "no such field" if is_unknown else str(fault["msg"]).removeprefix("Value error, ")
    return {
        "field": ".".join(str(part) for part in fault["loc"]),
        "what": what[:1].lower() + what[1:],
        "unknown": is_unknown,
    }
