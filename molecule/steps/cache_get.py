"""`cache.get`: what this worker remembers under a key."""

from molecule.component.config import Config
from molecule.component.contract import Cache, CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "cache.get",
    Spec(
        summary="Take what a cache of this worker remembers under a key, or null.",
        fields={
            "cache": Field.text("The cache's name in this environment; it needs no declaration."),
            "key": Field.expression("Gives the key."),
        },
        effect=None,
        inside="worker",
        errors="data: the key is no text. transient.definite: never.",
        across_failover="Another worker remembers other things: never rely on what a cache has.",
        example=Example(
            config="{type: cache.get, cache: rates, key: currency, output: {into: rate}}",
            given=({"currency": "EUR"},),
            gives=(("get EUR of rates", {"name": "rates", "key": "EUR"}),),
        ),
    ),
)
class CacheGet:
    """Null when it was never put, is too old, or was forgotten; use `output: {into: ...}`."""

    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        self._cache = config.text("cache")
        self._key = config.expression("key")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Cache and key."""
        key = self._key.text(document, context.names)
        return Request(f"get {key} of {self._cache}", {"name": self._cache, "key": key})

    async def perform(self, client: Cache, request: Request, call: CallContext) -> Reply:
        """The value, or null."""
        call.before_send()
        is_there, value = client.get(**request.body)
        return Reply((value,), request.target if is_there else f"{request.target}: not there")
