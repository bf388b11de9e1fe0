"""`cache.remove`: have this worker forget something."""

from molecule.component.config import Config
from molecule.component.contract import Cache, CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "cache.remove",
    Spec(
        summary="Have this worker forget what a cache has under a key.",
        fields={
            "cache": Field.text("The cache's name in this environment."),
            "key": Field.expression("Gives the key."),
        },
        effect=None,
        inside="worker",
        errors="data: the key is no text. transient.definite: never.",
        across_failover="Another worker goes on remembering it for as long as it was told to.",
        example=Example(
            config="{type: cache.remove, cache: rates, key: currency}",
            given=({"currency": "EUR"},),
            gives=(("remove EUR of rates", {"name": "rates", "key": "EUR"}),),
        ),
    ),
)
class CacheRemove:
    """Nothing happens when it is not there; the document goes on as it was."""

    effect = Effect.PURE
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._cache = config.text("cache")
        self._key = config.expression("key")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Cache and key."""
        key = self._key.text(document, context.names)
        return Request(f"remove {key} of {self._cache}", {"name": self._cache, "key": key})

    async def perform(self, client: Cache, request: Request, call: CallContext) -> Reply:
        """Forgotten here."""
        call.before_send()
        client.remove(**request.body)
        return Reply((), request.target)
