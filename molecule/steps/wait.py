"""`wait`: documents wait for a while or until an instant, and hold no slot meanwhile."""

from molecule.component.config import Config
from molecule.component.contract import Pause, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import data_error
from molecule.model import instants
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig


@step(
    "wait",
    Spec(
        summary="Let documents wait for a time or until an instant, then pass unchanged.",
        fields={
            "for": Field.duration("How long, counted from when the step began: `30m`."),
            "until": Field.expression(
                "Gives the instant as ISO 8601 text with a time zone, such as "
                "`2026-01-31T12:00:00Z`, or in milliseconds since 1970; one that is over "
                "holds nothing up.",
                required=False,
            ),
        },
        per="document",
        waits=True,
        example=Example(
            config="{type: wait, until: due}",
            given=({"due": "2026-01-31T12:00:00+01:00"},),
            gives=(("waits", {"until_ms": 1_769_857_200_000}),),
        ),
        across_failover="The instant stays: it is counted in the time of the cluster.",
    ),
)
class Wait:
    """Says how long; the engine waits, in the worker while it is short."""

    def __init__(self, config: Config) -> None:
        self._for_ms = config.duration_ms("for") if config.has("for") else None
        self._until = config.optional_expression("until")
        if (self._for_ms is None) == (self._until is None):
            raise InvalidConfig("wait needs either for or until")

    def process(self, document: Document, context: StepContext) -> Pause:
        """The document goes on when the time has come."""
        if self._until is None:
            return Pause(for_ms=self._for_ms)
        given = self._until.value(document, context.names)
        until_ms = instants.milliseconds(given)
        if until_ms is None:
            raise data_error(f"until: {given!r} is no instant with a time zone", field="until")
        return Pause(until_ms=until_ms)
