"""`assert`: a contract that must hold at this place of the process."""

from collections.abc import Sequence

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import Expression, told
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

_SHOWN = 3
_CODE = "assert"


@step(
    "assert",
    Spec(
        summary="Fail, with evidence, when a contract does not hold for the list.",
        fields={
            "that": Field.expression("Must be true for each document.", required=False),
            "together": Field.expression(
                "Must be true over the list of all values, such as $sum($.amount) = 100.",
                required=False,
            ),
        },
        per="list",
        errors="data: the contract does not hold, code assert; it names the first that break it.",
        example=Example(
            config="{type: assert, that: amount > 0, together: $sum($.amount) = 3}",
            given=({"amount": 1}, {"amount": 2}),
            gives=((None, {"amount": 1}), (None, {"amount": 2})),
        ),
    ),
)
class Assert:
    """Documents go on unchanged when it holds."""

    def __init__(self, config: Config) -> None:
        self._that = config.optional_expression("that")
        self._together = config.optional_expression("together")
        if self._that is None and self._together is None:
            raise InvalidConfig("assert needs that or together")

    def process_list(self, documents: Sequence[Document], context: StepContext) -> list[Emit]:
        """The list as it is."""
        if self._that is not None:
            _check_each(self._that, documents, context)
        if self._together is not None:
            _check_all(self._together, documents, context)
        return [Emit(None, document) for document in documents]


def _check_each(that: Expression, documents: Sequence[Document], context: StepContext) -> None:
    broken = [
        item
        for place, item in enumerate(documents)
        if not that.is_true(item, context.names_of(place))
    ]
    if not broken:
        return
    shown = ", ".join(f"{item.id}: {told(item.value)}" for item in broken[:_SHOWN])
    count = f"{len(broken)} of {len(documents)} documents"
    raise _broken(f"{that.source} does not hold for {count}: {shown}")


def _check_all(that: Expression, documents: Sequence[Document], context: StepContext) -> None:
    whole = Document(documents[0].id, [item.value for item in documents])
    if not that.is_true(whole, context.names):
        shown = ", ".join(told(item.value) for item in documents[:_SHOWN])
        count = f"{len(documents)} documents"
        raise _broken(f"{that.source} does not hold for the {count}, which begin {shown}")


def _broken(message: str) -> StepError:
    return StepError(message, error_class=ErrorClass.DATA, error_code=_CODE)
