"""`decision`: two ways by a condition."""

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document


@step(
    "decision",
    Spec(
        summary="Send each document down `then` or `else` by a condition.",
        fields={"if": Field.expression("Must give true or false for each document.")},
        paths=("then", "else"),
        required_paths=("then",),
        example=Example(
            config="""
                type: decision
                if: amount > 100
                then: [{id: big, type: log, message: big}]
            """,
            given=({"amount": 250}, {"amount": 5}),
            gives=(("then", {"amount": 250}), (None, {"amount": 5})),
        ),
    ),
)
class Decision:
    """Without `else`, the others go on unchanged."""

    def __init__(self, config: Config) -> None:
        self._condition = config.expression("if")
        self._else = "else" if config.has_path("else") else None

    def process(self, document: Document, context: StepContext) -> Emit:
        """`then`, `else`, or straight on."""
        holds = self._condition.is_true(document, context.names)
        return Emit("then" if holds else self._else, document)
