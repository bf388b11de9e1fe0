"""`log`: a line in the timeline of the execution."""

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document


@step(
    "log",
    Spec(
        summary="Write a line into the timeline; documents pass unchanged.",
        fields={"message": Field.template("The line.")},
        example=Example(
            config='{type: log, message: "order ${number}"}',
            given=({"number": 7},),
            gives=((None, {"number": 7}),),
        ),
    ),
)
class Log:
    """One line per document; the engine bounds lines and their length."""

    def __init__(self, config: Config) -> None:
        self._message = config.template("message")

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document as it came."""
        context.log(self._message.text(document, context.names))
        return Emit(None, document)
