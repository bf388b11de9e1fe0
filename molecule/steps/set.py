"""`set`: write properties of documents."""

from dataclasses import replace

from molecule.component.config import Config
from molecule.component.contract import TRIGGER_PROPERTY, Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig


@step(
    "set",
    Spec(
        summary="Write properties of each document; its value stays.",
        fields={
            "set": Field.mapping("Names to expressions; what yields nothing removes the property.")
        },
        example=Example(
            config='{type: set, set: {region: "$substring(code, 0, 2)"}}',
            given=({"code": "EU-7"},),
            gives=((None, {"code": "EU-7"}),),
            properties={"region": "EU"},
        ),
    ),
)
class Set:
    """Later steps read them as `$properties.NAME`."""

    def __init__(self, config: Config) -> None:
        self._set = config.expressions("set")
        if TRIGGER_PROPERTY in self._set.items:
            raise InvalidConfig(f"set: {TRIGGER_PROPERTY} is what the trigger said")

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document with its new properties."""
        written = self._set.values(document, context.names)
        named = {name.removesuffix("[]") for name in self._set.items}
        kept = {name: value for name, value in document.properties.items() if name not in named}
        return Emit(None, replace(document, properties={**kept, **written}))
