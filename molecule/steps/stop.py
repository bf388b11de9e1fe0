"""`stop`: end the way of documents, or the whole execution."""

from molecule.component.config import Config
from molecule.component.contract import Emitted, EndExecution, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document


@step(
    "stop",
    Spec(
        summary="Hand nothing on; or end the execution as completed.",
        fields={
            "what": Field.choice("What ends here.", ("path", "execution"), default="path"),
            "reason": Field.text("For the timeline, when the execution ends.", default="stop"),
        },
        example=Example(config="{type: stop}", given=({"a": 1},), gives=()),
    ),
)
class Stop:
    """With `what: execution`, documents still under way elsewhere are dropped."""

    def __init__(self, config: Config) -> None:
        self._execution = config.text("what") == "execution"
        self._reason = config.text("reason")

    def process(self, document: Document, context: StepContext) -> Emitted:  # noqa: ARG002
        """Nothing, or the end."""
        return EndExecution(self._reason) if self._execution else ()
