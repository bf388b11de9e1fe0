"""`message`: a new value from a template."""

from dataclasses import replace

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document


@step(
    "message",
    Spec(
        summary="Make each document's value from a template.",
        fields={
            "value": Field.template("The new value, of any shape, with ${...} replaced."),
            "media_type": Field.text(
                "Of the new value; text/plain for a text, else application/json.", required=False
            ),
        },
        example=Example(
            config="""
                type: message
                value: {subject: "Order ${number}", lines: "${lines}"}
            """,
            given=({"number": 7, "lines": [1, 2]},),
            gives=((None, {"subject": "Order 7", "lines": [1, 2]}),),
        ),
    ),
)
class Message:
    """Id and properties of the document stay."""

    def __init__(self, config: Config) -> None:
        self._value = config.template("value")
        self._media_type = config.optional_text("media_type")

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document with its new value."""
        value = self._value.value(document, context.names)
        usual = "text/plain" if isinstance(value, str) else "application/json"
        media_type = self._media_type or usual
        return Emit(None, replace(document, value=value, media_type=media_type))
