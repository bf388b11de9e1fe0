"""`dedup`: work on what comes twice once, whoever brings it."""

from molecule.component.config import Config
from molecule.component.contract import CallContext, ClusterKeys, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "dedup",
    Spec(
        summary="Let a document go on only when no other one has claimed its key.",
        fields={
            "key": Field.expression("Gives the key that says what is the same."),
            "scope": Field.text(
                "Keys of other scopes have nothing to do with it; all processes of an environment "
                "share one.",
                default="default",
            ),
            "window": Field.duration(
                "How long the key counts once its execution has completed.", default="1d"
            ),
            "duplicate": Field.choice(
                "A duplicate ends here, or goes on and `output` gets `{duplicate, execution}`.",
                ("drop", "tell"),
                default="drop",
            ),
            "under_way": Field.choice(
                "The key's execution has not ended: a duplicate, or an error to be tried again.",
                ("duplicate", "fail"),
                default="duplicate",
            ),
        },
        effect=None,
        inside="cluster",
        errors=(
            "transient.definite `under_way`, with `under_way: fail`. limit: claims_max. "
            "data: the key is no text."
        ),
        across_failover="The claim is of the effect, so a later owner and a re-drive have it, too.",
        example=Example(
            config="{type: dedup, key: id, window: 1h}",
            given=({"id": "A1"},),
            gives=(
                (
                    "claim A1",
                    {"scope": "default", "key": "A1", "window_ms": 3_600_000, "wait": False},
                ),
            ),
        ),
    ),
)
class Dedup:
    """The claim counts from the end of an execution that completed; else the key is free again."""

    effect = Effect.IDEMPOTENT

    def __init__(self, config: Config) -> None:
        self._key = config.expression("key")
        self._scope = config.text("scope")
        self._window_ms = config.duration_ms("window")
        self._tells = config.text("duplicate") == "tell"
        self._wait = config.text("under_way") == "fail"
        self.default_output = "keep"

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The key in its scope."""
        key = self._key.text(document, context.names)
        return Request(
            f"claim {key}",
            {"scope": self._scope, "key": key, "window_ms": self._window_ms, "wait": self._wait},
        )

    async def perform(self, client: ClusterKeys, request: Request, call: CallContext) -> Reply:
        """Claimed, or a duplicate of what another execution did or does."""
        call.before_send()
        found = await client.claim(**request.body, effect_key=call.effect_key)
        is_duplicate = found.answer == "duplicate"
        told = {"duplicate": is_duplicate, "execution": found.value}
        if is_duplicate and not self._tells:
            return Reply((), f"{request.target}: duplicate of {found.value}", ends=True)
        return Reply((told,), request.target)
