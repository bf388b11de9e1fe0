"""`map`: a document into another."""

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import NOTHING, data_error
from molecule.model.document import Document


@step(
    "map",
    Spec(
        summary="Make a new value from each document.",
        fields={
            "to": Field.mapping(
                "Field names to expressions, or one expression that gives the whole value. "
                "A name that ends in [] is always a list; a field that yields nothing is left out.",
                or_expression=True,
            ),
            "merge": Field.boolean("Keep the fields of the document that `to` does not name."),
        },
        example=Example(
            config="""
                type: map
                to: {flight: carrier & number, minutes: $number(delay), "stops[]": via}
            """,
            given=({"carrier": "UA", "number": "15", "delay": "42", "via": "ORD"},),
            gives=((None, {"flight": "UA15", "minutes": 42, "stops": ["ORD"]}),),
        ),
    ),
)
class Map:
    """Gives each document a new value; its id and properties stay."""

    def __init__(self, config: Config) -> None:
        one = config.is_one_expression("to")
        self._whole = config.expression("to") if one else None
        self._fields = None if one else config.expressions("to")
        self._merge = config.boolean("merge")

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document with its new value."""
        if self._fields is None:
            value = self._whole.value(document, context.names) if self._whole else NOTHING
            if value is NOTHING:
                raise data_error("to: yields nothing", field="to")
        else:
            value = self._fields.values(document, context.names)
        if self._merge:
            value = _merged(document.value, value)
        return Emit(None, document.with_value(value))


def _merged(old: object, new: object) -> dict[str, object]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        raise data_error("merge: needs a document and a result that have fields", field="merge")
    return {**old, **new}
