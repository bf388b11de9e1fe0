"""`return`: documents leave the called process, or the execution, here."""

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Spec
from molecule.model.document import Document


@step(
    "return",
    Spec(
        summary="Hand documents back to the caller, past all steps that follow.",
        hands_back=True,
        example=Example(
            config="{type: return, when: found}",
            given=({"found": True},),
            gives=((None, {"found": True}),),
        ),
    ),
)
class Return:
    """Outside of a called process they are results of the execution. The others go on."""

    def __init__(self, config: Config) -> None:
        """Takes nothing."""

    def process(self, document: Document, context: StepContext) -> Emit:  # noqa: ARG002
        """The document."""
        return Emit(None, document)
