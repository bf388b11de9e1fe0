"""`filter`: keep the documents for which a condition is true."""

from collections.abc import Sequence

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document


@step(
    "filter",
    Spec(
        summary="Keep the documents of the list for which `if` is true.",
        fields={"if": Field.expression("Must give true or false for each document.")},
        per="list",
        example=Example(
            config="{type: filter, if: qty > 0}",
            given=({"qty": 2}, {"qty": 0}),
            gives=((None, {"qty": 2}),),
        ),
    ),
)
class Filter:
    """Order is kept."""

    def __init__(self, config: Config) -> None:
        self._condition = config.expression("if")

    def process_list(self, documents: Sequence[Document], context: StepContext) -> list[Emit]:
        """Those that are kept."""
        return [
            Emit(None, document)
            for place, document in enumerate(documents)
            if self._condition.is_true(document, context.names_of(place))
        ]
