"""`lookup`: complete documents from a table of the repository."""

from molecule.component.config import Config
from molecule.component.contract import Emit, StepContext
from molecule.component.registry import step
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.errors import invariant


@step(
    "lookup",
    Spec(
        summary="Take the row of a table by key and write fields from it.",
        fields={
            "table": Field.table("A table of the repository; its first column is the key."),
            "by": Field.expression("Gives the key."),
            "set": Field.mapping("Fields to write: expressions over the row, all of it text."),
            "missing": Field.choice(
                "What happens to a document whose key has no row.", ("fail", "keep"), default="fail"
            ),
        },
        example=Example(
            config="{type: lookup, table: airlines, by: carrier, set: {airline: name}}",
            given=({"carrier": "UA"},),
            gives=((None, {"carrier": "UA", "airline": "United"}),),
            tables={"airlines": "carrier,name\nUA,United\n"},
        ),
    ),
)
class Lookup:
    """A key without a row is an error of the document, unless `missing: keep`."""

    def __init__(self, config: Config) -> None:
        self._table = config.text("table")
        self._by = config.expression("by")
        self._set = config.expressions("set")
        self._keep = config.text("missing") == "keep"

    def process(self, document: Document, context: StepContext) -> Emit:
        """The document with the fields written."""
        invariant(self._table in context.tables, "a checked table is missing", table=self._table)
        table = context.tables[self._table]
        key = self._by.text(document, context.names)
        row = table.rows.get(key)
        if row is None and self._keep:
            return Emit(None, document)
        if row is None:
            raise data_error(f"by: {key!r} is not in table {self._table}", field="by")
        if not isinstance(document.value, dict):
            raise data_error("set: the document has no fields to write to", field="set")
        fields = self._set.of(row, document.properties, context.names)
        return Emit(None, document.with_value({**document.value, **fields}))
