"""`cache.put`: have this worker remember something for a while."""

from molecule.component.config import Config
from molecule.component.contract import Cache, CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "cache.put",
    Spec(
        summary="Have this worker remember a value under a key for a while; it may forget it.",
        fields={
            "cache": Field.text("The cache's name in this environment; it needs no declaration."),
            "key": Field.expression("Gives the key."),
            "value": Field.template("What to remember instead of the document.", required=False),
            "for": Field.duration("How long at most.", default="5m"),
        },
        effect=None,
        inside="worker",
        errors="data: the key is no text. transient.definite: never.",
        across_failover="Another worker remembers other things: never rely on what a cache has.",
        example=Example(
            config="{type: cache.put, cache: rates, key: currency, value: '${rate}', for: 1m}",
            given=({"currency": "EUR", "rate": 1.1},),
            gives=(
                (
                    "put EUR of rates",
                    {"name": "rates", "key": "EUR", "value": 1.1, "for_ms": 60_000},
                ),
            ),
        ),
    ),
)
class CachePut:
    """The least used are forgotten when there is no room; the document goes on as it was."""

    effect = Effect.PURE
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._cache = config.text("cache")
        self._key = config.expression("key")
        self._value = config.optional_template("value")
        self._for_ms = config.duration_ms("for")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Cache, key and value."""
        key = self._key.text(document, context.names)
        value = self._value.value(document, context.names) if self._value else document.value
        return Request(
            f"put {key} of {self._cache}",
            {"name": self._cache, "key": key, "value": value, "for_ms": self._for_ms},
        )

    async def perform(self, client: Cache, request: Request, call: CallContext) -> Reply:
        """Remembered, for the time being."""
        call.before_send()
        client.put(**request.body)
        return Reply((), request.target)
