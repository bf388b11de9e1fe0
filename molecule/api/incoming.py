"""What a caller sent to a listener, as one document with the facts of `$trigger`.

Nothing is guessed: a type that is missing, doubled, compressed or of many parts is refused. What
must stay true: the same request gives the same content digest, whatever its other headers are.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson
from starlette.requests import Request

from molecule.api.bodies import parse
from molecule.api.problems import UnsupportedMediaType
from molecule.component.contract import TRIGGER_PROPERTY
from molecule.model import payload
from molecule.model.document import Document
from molecule.model.errors import InvalidInput
from molecule.model.ids import DocumentId

_KEPT_BACK: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_FORM: Final = "application/x-www-form-urlencoded"
_FORM_FIELDS_MAX: Final = 1_000
_CHARSETS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Declared:
    """The type of a body; empty `media_type`: it has none, so it must be empty."""

    media_type: str
    charset: str


def parts_of(request: Request, prefix: str) -> list[str]:
    """The decoded parts of the path below `prefix`; what could lead elsewhere is refused."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    below = raw.partition(b"?")[0].removeprefix(prefix.encode())
    found = []
    for part in below.split(b"/"):
        try:
            text = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            raise InvalidInput("the path is not UTF-8") from None
        if text in {".", ".."} or any(sign in "/\\" or not sign.isprintable() for sign in text):
            raise InvalidInput("the path has a part that is not possible: .., /, \\ or no letters")
        found.append(text)
    return found


def declared(request: Request) -> Declared:
    """What the caller says of its body, or `UnsupportedMediaType`."""
    encodings = request.headers.getlist("content-encoding")
    if any(text.strip().lower() not in {"", "identity"} for text in encodings):
        raise UnsupportedMediaType("send the body as it is, without content-encoding")
    told = request.headers.getlist("content-type")
    if len(told) > 1:
        raise UnsupportedMediaType("the request has more than one content-type")
    if not told:
        return Declared("", "utf-8")
    head, *parameters = (part.strip().lower() for part in told[0].split(";"))
    kind, slash, subtype = head.partition("/")
    if not (slash and kind and subtype and {*kind, *subtype} <= _TOKEN):
        raise UnsupportedMediaType("the content-type is no type like application/json")
    if kind == "multipart":
        raise UnsupportedMediaType("bodies of many parts are not taken; send one part as it is")
    names = [value.strip('"') for name, _, value in _pairs(parameters) if name == "charset"]
    charset = _CHARSETS.get(names[0] if names else "utf-8")
    if len(names) > 1 or charset is None or (charset != "utf-8" and is_json(head)):
        raise UnsupportedMediaType("the charset is not possible here; send UTF-8")
    return Declared(head, charset)


def _pairs(parameters: Sequence[str]) -> list[tuple[str, str, str]]:
    return [parameter.partition("=") for parameter in parameters]


def is_json(media_type: str) -> bool:
    """True for JSON and for everything that is JSON underneath."""
    return media_type == "application/json" or media_type.endswith("+json")


def value(body: bytes, told: Declared) -> Any:
    """The document's value: JSON, text, the fields of a form, else bytes; nothing: null."""
    if not told.media_type:
        if body:
            raise UnsupportedMediaType("say by content-type what the body is")
        return None
    if is_json(told.media_type):
        return parse(body, "JSON")
    if told.media_type == _FORM:
        return _fields(_decoded(body, told.charset))
    if told.media_type.startswith("text/"):
        return _decoded(body, told.charset)
    return body


def query_of(request: Request) -> dict[str, Any]:
    """Names to texts; a name that came more than once has a list."""
    return _fields(request.scope.get("query_string", b"").decode("latin-1"))


def submission_input(
    request: Request, *, name: str, path: Mapping[str, str], body: bytes, told: Declared
) -> tuple[bytes, str]:
    """The encoded document, and the digest of what makes two requests under one key equal."""
    query = query_of(request)
    client = request.client
    facts = {
        "name": name,
        "method": request.method,
        "path": dict(path),
        "query": query,
        "headers": _headers(request),
        "caller": {"address": client.host if client else ""},
    }
    document = Document(
        DocumentId("0"),
        value(body, told),
        media_type=told.media_type or "application/json",
        properties={TRIGGER_PROPERTY: facts},
    )
    same = [request.method, dict(path), query, told.media_type]
    head = orjson.dumps(same, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(head + b"\0" + body).hexdigest()
    return payload.encode_documents([document]), digest


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError:
        raise InvalidInput(f"the body is not {charset}") from None


def _fields(text: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_FORM_FIELDS_MAX
        )
    except ValueError:
        message = f"fields must be UTF-8, and at most {_FORM_FIELDS_MAX}"
        raise InvalidInput(message) from None
    found: dict[str, Any] = {}
    for name, text_value in pairs:
        if name not in found:
            found[name] = text_value
        elif isinstance(found[name], list):
            found[name].append(text_value)
        else:
            found[name] = [found[name], text_value]
    return found


def _headers(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in request.headers.items():
        if name not in _KEPT_BACK:
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found
