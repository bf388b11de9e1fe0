"""`http`: requests to HTTP services.

One pooled session per connection and worker. Whether a request left is known: the fence is asked,
and the fact noted, directly before the first byte is written, so an error before that is definite.
The operation stands in `http_request.py`.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from molecule.component.config import Config
from molecule.component.contract import CallContext
from molecule.component.registry import connector
from molecule.component.spec import ConnectorSpec, Example, Field
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_KEEP_ALIVE_S: Final = 5
_CONNECTIONS_MAX: Final = 1_000
_BODY_MAX: Final = 64 * 1024 * 1024
_BODY_DEFAULT: Final = 8 * 1024 * 1024
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTH_FIELDS: Final = {
    "bearer": {"type"},
    "basic": {"type", "user"},
    "api_key": {"type", "header"},
}


@dataclass(slots=True)
class _Sending:
    """One `perform`: its fence, and whether bytes may have left."""

    before_send: Callable[[], None]
    may_resend: bool
    origin: Any
    secret: str
    """The header that only this origin may see."""
    sent: bool = False


_SENDING: ContextVar[_Sending] = ContextVar("molecule_http_sending")


@connector(
    "http",
    ConnectorSpec(
        summary="An HTTP service.",
        fields={
            "base_url": Field.text("Where paths begin: https://host[:port][/prefix]."),
            "pool": Field.integer(
                "Requests at once, per worker.", default=20, minimum=1, maximum=_CONNECTIONS_MAX
            ),
            "headers": Field.text_map("Sent with every request; never secrets."),
            "auth": Field.any("{type: bearer | basic | api_key, user: ..., header: ...}."),
            "credential": Field.credential("The secret of `auth`."),
            "ca_file": Field.text("Certificates to trust besides the system's.", required=False),
            "response_bytes_max": Field.integer(
                "Larger answers are an error.",
                default=8 * 1024 * 1024,
                minimum=1,
                maximum=_BODY_MAX,
            ),
        },
        addresses=("base_url", "credential", "ca_file"),
        example=Example(config='{base_url: "https://desk.example.com/v1", pool: 10}'),
    ),
)
class Http:
    """The client of one connection."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:
        self.base_url = settings.text("base_url").rstrip("/")
        if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", self.base_url):
            raise InvalidConfig("base_url: must be http(s)://host[:port][/prefix], without secrets")
        self.response_bytes_max = settings.integer("response_bytes_max")
        self._pool = settings.integer("pool")
        self._ca_file = settings.optional_text("ca_file")
        self._headers = dict(settings.text_map("headers"))
        check_headers(self._headers)
        self._auth = _auth(settings.anything("auth"), settings.optional_text("credential"))
        self._reference = settings.optional_text("credential")
        self._credential = credential
        self._secret = ""
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Make the session; nothing is sent."""
        import aiohttp

        if self._auth and self._reference:
            secret = _auth_headers(self._auth, self._credential(self._reference))
            self._headers.update(secret)
            self._secret = next(iter(secret))
        trust: ssl.SSLContext | bool = True
        if self._ca_file:
            trust = await asyncio.to_thread(ssl.create_default_context)
            await asyncio.to_thread(trust.load_verify_locations, self._ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._pool, ssl=trust, keepalive_timeout=_KEEP_ALIVE_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=True,
            request_class=_fenced_request_class(),
        )

    async def close(self) -> None:
        """Give back every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self, body: Mapping[str, Any], call: CallContext
    ) -> tuple[int, dict[str, str], bytes | None]:
        """Status, headers (lower case), body of the answer; None for one over the bound.

        Raises `StepError` when no answer came.
        """
        import aiohttp
        from yarl import URL

        if self._session is None:
            raise StepError("the connection is not open", error_class=ErrorClass.TRANSIENT_DEFINITE)
        # A redirect that is followed sends again; else a request is sent once, whatever breaks.
        sending = _Sending(
            call.before_send,
            body["method"] in SAFE or body["redirects"],
            URL(self.base_url).origin(),
            self._secret,
        )
        _SENDING.set(sending)
        try:
            async with (
                asyncio.timeout(call.timeout_s),
                asyncio.timeout_at(call.deadline),
                self._session.request(
                    body["method"],
                    URL(self.base_url + body["path"], encoded=True),
                    data=body["content"],
                    headers={**body["headers"], "Idempotency-Key": call.effect_key},
                    allow_redirects=body["redirects"],
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                return response.status, headers, await self._content(response)
        except TimeoutError:
            raise _no_answer("timed_out", "no answer in time", sending) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise StepError(f"no valid request: {error}", error_class=ErrorClass.DATA) from None
        except aiohttp.TooManyRedirects:
            raise StepError("too many redirects", error_class=ErrorClass.PERMANENT) from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise StepError(f"TLS: {error}", error_class=ErrorClass.PERMANENT) from None
        except (aiohttp.ClientError, OSError) as error:
            told = str(error) or type(error).__name__
            raise _no_answer("connection_failed", told, sending) from None

    async def _content(self, response: "ClientResponse") -> bytes | None:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self.response_bytes_max:
                response.close()
                return None
        return bytes(content)


def _fenced_request_class() -> type[Any]:
    import aiohttp

    class FencedRequest(aiohttp.ClientRequest):
        """Asks the fence when a connection is there, directly before bytes are written."""

        async def send(self, *args: Any, **kwargs: Any) -> Any:
            sending = _SENDING.get()
            if sending.sent and not sending.may_resend:
                # The library would send again on a connection that broke; whether to is not its
                # decision.
                raise aiohttp.ServerDisconnectedError("the connection broke after sending")
            if sending.secret and self.url.origin() != sending.origin:
                # The library takes away only `Authorization` when a redirect leads elsewhere.
                self.headers.popall(sending.secret, None)
            sending.before_send()
            sending.sent = True
            return await super().send(*args, **kwargs)

    return FencedRequest


def _no_answer(code: str, told: str, sending: _Sending) -> StepError:
    if sending.sent:
        return StepError(
            f"{told}, after sending", error_class=ErrorClass.TRANSIENT_UNKNOWN, error_code=code
        )
    return StepError(
        f"{told}, before sending", error_class=ErrorClass.TRANSIENT_DEFINITE, error_code=code
    )


def _auth(auth: Any, reference: str | None) -> dict[str, str] | None:
    if auth is None:
        return None
    if not isinstance(auth, dict) or auth.get("type") not in _AUTH_FIELDS:
        raise InvalidConfig(f"auth.type: must be one of {', '.join(_AUTH_FIELDS)}")
    unknown = set(auth) - _AUTH_FIELDS[auth["type"]]
    if unknown:
        raise InvalidConfig(f"auth: unknown field {min(unknown)}")
    if not all(isinstance(value, str) for value in auth.values()):
        raise InvalidConfig("auth: all its fields are texts")
    if auth["type"] == "basic" and "user" not in auth:
        raise InvalidConfig("auth.user is missing")
    if reference is None:
        raise InvalidConfig("auth: needs a credential in the environment's connection")
    return {str(name): str(value) for name, value in auth.items()}


def _auth_headers(auth: Mapping[str, str], secret: str) -> dict[str, str]:
    if auth["type"] == "bearer":
        return {"Authorization": f"Bearer {secret}"}
    if auth["type"] == "basic":
        pair = base64.b64encode(f"{auth['user']}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {auth.get("header", "X-API-Key"): secret}


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises `InvalidConfig` for what could not be, or would forge, a header."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or "\r" in value or "\n" in value or "\0" in value:
            raise InvalidConfig(f"headers: {name!r} is no header")
