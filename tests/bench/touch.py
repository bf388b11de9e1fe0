"""A connector that does nothing, as an extension of the cluster under measurement.

A real target would be measured with the cluster. `bench.touch` has the effect of a keyed write and
`bench.look` that of a read: before a look is sent, what touches did must be committed.
"""

from collections.abc import Callable

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.registry import connector, operation
from molecule.component.spec import ConnectorSpec, Example, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect

_CONNECTOR = ConnectorSpec(summary="Nothing, at once.", fields={}, example=Example(config="{}"))
_TOUCH = Spec(summary="An idempotent effect.", fields={}, effect=None, connection=True)


@connector("bench", _CONNECTOR)
class Bench:
    """No client is needed to do nothing."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:
        pass

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""


class _Nothing:
    """Both operations: a request without content, answered at once."""

    effect = Effect.IDEMPOTENT
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        pass

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The same for every document."""
        return Request("nothing", None)

    async def perform(self, client: Bench, request: Request, call: CallContext) -> Reply:
        """It is done."""
        call.before_send()
        return Reply()


@operation("bench.touch", _TOUCH)
class Touch(_Nothing):
    """As a keyed write."""


@operation(
    "bench.look",
    Spec(summary="A pure request.", fields={}, effect=None, connection=True, reads_outside=True),
)
class Look(_Nothing):
    """As a read."""

    effect = Effect.PURE
