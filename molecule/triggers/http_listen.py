"""`http.listen`: each request to a path of every node's HTTPS port becomes an execution."""

from typing import Final

from molecule.component.config import Config
from molecule.component.contract import Listening, TriggerContext
from molecule.component.json_schema import Schema
from molecule.component.registry import trigger
from molecule.component.spec import Example, Field, Spec
from molecule.config import Limits
from molecule.expression.names import Names
from molecule.model import http_path
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

METHODS: Final = ("POST", "GET", "PUT", "PATCH", "DELETE")
_AUTH: Final = ("token", "none", "mtls", "oidc", "hmac", "basic")
_AUTH_NOW: Final = ("token", "none")
_BODY_BYTES_MAX: Final = Limits().submission_body_bytes_max
_WAIT_MS_MAX: Final = Limits().wait_ms_max


@trigger(
    "http.listen",
    Spec(
        summary="Each request to a path below `/in/ENVIRONMENT` becomes an execution.",
        fields={
            "method": Field.choice("The method it takes.", METHODS, default="POST"),
            "path": Field.text("The path, with parameters like `/orders/{order}`."),
            "reply": Field.choice(
                "`result`: the caller waits for the result; `accepted`: it gets the id at once.",
                ("result", "accepted"),
                default="result",
            ),
            "auth": Field.choice(
                "`token`: as for the API; `none`: anybody may call it. The others come later.",
                _AUTH,
                default="token",
            ),
            "dedup": Field.expression(
                "Gives the idempotency key of a request. Default: the header `Idempotency-Key`.",
                required=False,
            ),
            "schema": Field.schema("JSON Schema that the body must fit."),
            "max_body": Field.integer(
                "Bytes that a body may have.",
                default=1024 * 1024,
                minimum=1,
                maximum=_BODY_BYTES_MAX,
            ),
            "timeout": Field.duration(
                "How long the caller waits for the result; then the answer is 504.", default="30s"
            ),
            "rate": Field.any("Comes later: requests are not limited by their rate yet."),
        },
        example=Example(config="{type: http.listen, path: '/orders/{order}', reply: accepted}"),
        across_failover="Every node listens, so nothing moves; callers that wait are answered.",
    ),
)
class HttpListen:
    """What the gateways of all nodes take for its process."""

    def __init__(self, config: Config) -> None:
        """Refuses what it could not keep."""
        path, auth = config.text("path"), config.text("auth")
        wrong = http_path.fault(path)
        if wrong:
            raise InvalidConfig(f"path: {wrong}")
        if auth not in _AUTH_NOW:
            raise InvalidConfig(f"auth: {auth} comes later; this release knows token and none")
        if config.has("rate"):
            raise InvalidConfig("rate comes later; remove it")
        timeout_ms = config.duration_ms("timeout")
        if not 0 < timeout_ms <= _WAIT_MS_MAX:
            raise InvalidConfig(f"timeout: must be from 1ms to {_WAIT_MS_MAX // 1000}s")
        self._dedup = config.optional_expression("dedup")
        self._schema: Schema | None = config.anything("schema")
        self.listening = Listening(
            method=config.text("method"),
            path=path,
            reply=config.text("reply"),
            auth=auth,
            timeout_ms=timeout_ms,
            body_bytes_max=config.integer("max_body"),
            checked=self._dedup is not None or self._schema is not None,
        )

    def admit(self, document: Document, names: Names) -> str:
        """The value of `dedup`, empty without it; raises `StepError` (data) for what is refused."""
        faults = self._schema.faults(document.value) if self._schema else []
        if faults:
            raise StepError(
                f"the body does not fit the schema: {'; '.join(faults)}",
                error_class=ErrorClass.DATA,
                error_code="schema",
            )
        return self._dedup.text(document, names) if self._dedup is not None else ""

    async def run(self, context: TriggerContext) -> None:
        """Nothing to do: the gateways listen."""
