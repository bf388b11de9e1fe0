"""`respond`: answer the HTTP caller now, and go on."""

import re
from typing import Any, Final

import orjson

from molecule.component.answer import Answer
from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError

BODY_BYTES_MAX: Final = 64 * 1024
_HEADERS_MAX: Final = 32
_HEADER_LENGTH_MAX: Final = 512
_STATUSES: Final = range(200, 600)
_WITHOUT_BODY: Final = (204, 304)
_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_OF_THE_GATEWAY: Final = frozenset(
    {
        *("connection", "content-length", "date", "keep-alive", "proxy-authenticate", "server"),
        *("te", "trailer", "transfer-encoding", "upgrade", "idempotency-key"),
        *("molecule-execution", "molecule-request"),
    }
)


@step(
    "respond",
    Spec(
        summary="Answer the caller of `http.listen` now; the execution goes on.",
        fields={
            "status": Field.template("The status, 200 to 599.", default="200"),
            "headers": Field.template("Names to texts.", required=False),
            "body": Field.template("The body. Default: the document's value.", required=False),
        },
        errors="data: a status, header or body that cannot be sent, code answer.",
        example=Example(
            config='{type: respond, status: 201, body: {order: "${number}"}}',
            given=({"number": 7},),
            gives=((None, {"number": 7}),),
        ),
        across_failover="Committed before it is sent, so the caller gets one answer; a repeat of "
        "the step is ignored.",
    ),
)
class Respond:
    """Documents pass. The first answer of an execution counts; without a caller it has no effect.

    A text is sent as `text/plain`, bytes as `application/octet-stream`, all else as JSON, unless
    `headers` names another `content-type`.
    """

    def __init__(self, config: Config) -> None:
        self._status = config.template("status")
        self._headers = config.optional_template("headers")
        self._body = config.optional_template("body")

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document as it came."""
        names = context.names
        status = _status(self._status.value(document, names))
        given = self._headers.value(document, names) if self._headers is not None else {}
        headers = _headers(given)
        body = self._body.value(document, names) if self._body is not None else document.value
        media_type, content = _body(body)
        if status in _WITHOUT_BODY:
            content = b""
        elif all(name != "content-type" for name, _ in headers):
            headers = (*headers, ("content-type", media_type))
        if len(content) > BODY_BYTES_MAX:
            raise _refused(f"the body has {len(content)} bytes, at most {BODY_BYTES_MAX} are sent")
        context.answers.append(Answer(status, headers, content))
        return Emit(None, document)


def _status(value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int) or number not in _STATUSES:
        raise _refused(f"status must be from 200 to 599, is {value!r}"[:200])
    return number


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, dict):
        raise _refused("headers must map names to texts")
    if len(given) > _HEADERS_MAX:
        raise _refused(f"there are {len(given)} headers, at most {_HEADERS_MAX} are sent")
    found = []
    for name, value in given.items():
        key, text = str(name).lower(), value if isinstance(value, str) else str(value)
        if not _NAME.fullmatch(key) or len(key) > _HEADER_LENGTH_MAX:
            raise _refused(f"{key!r} is no name of a header"[:200])
        if key in _OF_THE_GATEWAY:
            raise _refused(f"the header {key} is set by the gateway")
        # A line end in a value would begin a header, or an answer, of somebody else's.
        if not (text.isascii() and text.isprintable()) or len(text) > _HEADER_LENGTH_MAX:
            raise _refused(f"the header {key} must be printable ASCII, at most 512 characters")
        found.append((key, text))
    return tuple(sorted(found))


def _body(value: Any) -> tuple[str, bytes]:
    if isinstance(value, bytes):
        return "application/octet-stream", value
    if isinstance(value, str):
        return "text/plain; charset=utf-8", value.encode()
    try:
        return "application/json", orjson.dumps(value)
    except TypeError as error:
        raise _refused(f"the body cannot be sent as JSON: {error}") from None


def _refused(what: str) -> StepError:
    return StepError(what, error_class=ErrorClass.DATA, error_code="answer")
