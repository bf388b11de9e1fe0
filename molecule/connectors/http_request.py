"""`http.request`: one request per document.

Method, path, headers and bytes are fixed before the send, so that a repeat sends the same.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.formats.reading import parse_json
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.http import SAFE, Http, check_headers
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import InvalidConfig, StepError

_METHODS: Final = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")
_EFFECTS: Final = {"PUT": Effect.IDEMPOTENT, "DELETE": Effect.IDEMPOTENT}
_DEFINITE: Final = frozenset({429, 503})
_UNKNOWN: Final = frozenset({500, 502, 504})
_TOLD_BYTES: Final = 200
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([a-z0-9._:-]+)")


@operation(
    "http.request",
    Spec(
        summary="Send each document, or what `body` makes of it, to a path; take the answer.",
        fields={
            "method": Field.choice("HTTP method.", _METHODS, default="GET"),
            "path": Field.template(
                "Below base_url; replaced values are percent-encoded.", default="/"
            ),
            "query": Field.template("Names to texts and numbers.", default={}),
            "headers": Field.template("Names to texts.", default={}),
            "body": Field.template("Sent as JSON instead of the document.", required=False),
            "follow_redirects": Field.boolean("Go where the answer points to."),
        },
        effect=None,
        connection=True,
        reads_outside=True,
        errors=(
            "transient.definite: no connection, 429, 503. transient.unknown: time-out or reset "
            "after sending, 500, 502, 504. permanent: all other statuses. limit: too large."
        ),
        across_failover=(
            "GET and the like are sent again; PUT and DELETE with the same bytes and key; POST and "
            "PATCH never, unless verify says that it did not happen."
        ),
        example=Example(
            config="""
                type: http.request
                connection: desk
                method: POST
                path: /late/${flight}
            """,
            given=({"flight": "UA 15"},),
            gives=(
                (
                    "POST /late/UA%2015",
                    {
                        "method": "POST",
                        "path": "/late/UA%2015",
                        "headers": {"Content-Type": "application/json"},
                        "content": b'{"flight":"UA 15"}',
                        "redirects": False,
                    },
                ),
            ),
        ),
    ),
)
class HttpRequest:
    """Inside `verify` the result is `{status, headers, body}` and no status is an error."""

    def __init__(self, config: Config) -> None:
        self._method = config.text("method")
        self._path = config.template("path")
        self._query = config.template("query")
        self._headers = config.template("headers")
        self._body = config.optional_template("body")
        self._redirects = config.boolean("follow_redirects")
        self._in_verify = config.in_verify
        self.effect = (
            Effect.PURE if self._method in SAFE else _EFFECTS.get(self._method, Effect.ONCE)
        )
        self.default_output = "replace" if self._method in SAFE else "keep"
        if self._method in SAFE and self._body is not None:
            raise InvalidConfig(f"body: {self._method} has none")
        if self._path.fixed and not str(self._path.shape).startswith("/"):
            raise InvalidConfig("path: must begin with /")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Method, path with query, headers and bytes."""
        path = _path(self._path.text(document, context.names, _encoded))
        headers = self._texts(self._headers.value(document, context.names), "headers")
        _check_data_headers(headers)
        content = None
        if self._method not in SAFE and not (self._method == "DELETE" and self._body is None):
            whole = self._body.value(document, context.names) if self._body else document.value
            content, kind = _bytes(whole)
            headers = {"Content-Type": kind, **headers}
        query = self._texts(self._query.value(document, context.names), "query")
        if query:
            path += ("&" if "?" in path else "?") + "&".join(
                f"{_encoded(n)}={_encoded(v)}" for n, v in query.items()
            )
        return Request(
            f"{self._method} {path}",
            {
                "method": self._method,
                "path": path,
                "headers": headers,
                "content": content,
                "redirects": self._redirects,
            },
        )

    async def perform(self, client: Http, request: Request, call: CallContext) -> Reply:
        """The answer's body; everything of the answer inside `verify`."""
        status, headers, content = await client.send(request.body, call)
        told = f"{request.target} -> {status}"
        if self._in_verify:
            body = _parsed(content or b"", headers, strict=False)
            return Reply(({"status": status, "headers": headers, "body": body},), told)
        if status not in range(200, 300):
            raise _refused(request.target, status, headers, content or b"")
        reads = self._method in SAFE
        if content is None and reads:
            raise StepError(
                f"the answer is larger than response_bytes_max, {client.response_bytes_max}",
                error_class=ErrorClass.LIMIT,
                error_code="response_bytes_max",
            )
        # After a write the effect has happened: an answer that cannot be read must not undo that.
        return Reply((_parsed(content or b"", headers, strict=reads),), told)

    def _texts(self, values: Any, field: str) -> dict[str, str]:
        if not isinstance(values, dict):
            raise data_error(f"{field}: must map names to texts", field=field)
        for name, value in values.items():
            if not isinstance(value, str | int | float):
                raise data_error(f"{field}.{name}: must be a text or number", field=field)
        return {name: _text(value) for name, value in values.items()}


def _refused(target: str, status: int, headers: Mapping[str, str], content: bytes) -> StepError:
    if status in _DEFINITE:
        error_class = ErrorClass.TRANSIENT_DEFINITE
    elif status in _UNKNOWN:
        error_class = ErrorClass.TRANSIENT_UNKNOWN
    else:
        error_class = ErrorClass.PERMANENT
    told = content[:_TOLD_BYTES].decode("utf-8", "replace")
    return StepError(
        f"{target} -> {status} {told}".rstrip(),
        error_class=error_class,
        error_code=f"http_{status}",
        status=status,
        retry_after=headers.get("retry-after", ""),
    )


def _bytes(value: Any) -> tuple[bytes, str]:
    if isinstance(value, bytes):
        return value, "application/octet-stream"
    try:
        return orjson.dumps(value), "application/json"
    except orjson.JSONEncodeError as error:
        raise data_error(f"body: cannot be sent as JSON: {error}", field="body") from None


def _parsed(content: bytes, headers: Mapping[str, str], *, strict: bool) -> Any:
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    if not content:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return parse_json(content)
        except ValueError as error:
            if strict:
                raise data_error(f"the answer is not the JSON it says: {error}") from None
            return content.decode("utf-8", "replace")
    if kind.startswith("text/"):
        return _decoded(content, parameters, strict=strict)
    return content


def _decoded(content: bytes, parameters: str, *, strict: bool) -> str:
    named = _CHARSET.search(parameters)
    charset = named[1] if named else "utf-8"
    try:
        return content.decode(charset)
    except (UnicodeDecodeError, LookupError) as error:
        if strict:
            raise data_error(f"the answer is not the {charset} text it says: {error}") from None
        return content.decode("utf-8", "replace")


def _path(path: str) -> str:
    """The path with odd characters encoded; one that climbs is an error of the document."""
    if not path.startswith("/"):
        raise data_error(f"path: must begin with /, is {path[:80]}", field="path")
    if any(unquote(part) in {".", ".."} for part in path.partition("?")[0].split("/")):
        raise data_error(f"path: must not climb, is {path[:80]}", field="path")
    return quote(path, safe="/?&=%:@!$'()*+,;~-._")


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_data_headers(headers: Mapping[str, str]) -> None:
    try:
        check_headers(headers)
    except InvalidConfig as error:
        raise data_error(error.message, field="headers") from None
