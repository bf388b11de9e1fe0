"""`table.delete`: take a row out of a replicated key table, if it is as a condition says."""

from molecule.component.config import Config
from molecule.component.contract import CallContext, ClusterKeys, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.model.document import Document
from molecule.model.effect import Effect
from molecule.model.errors import InvalidConfig
from molecule.steps.table_put import changed, json_text


@operation(
    "table.delete",
    Spec(
        summary="Take a row out of a replicated key table, if it is as a condition says.",
        fields={
            "table": Field.text("The table's name in this environment."),
            "key": Field.expression("Gives the key."),
            "if": Field.choice(
                "Delete only when there is a row, or when its value `equals`.",
                ("always", "present", "equals"),
                default="always",
            ),
            "equals": Field.template("With `if: equals`: the value it must have.", required=False),
        },
        effect=None,
        inside="cluster",
        errors="data `table_conflict`: the row is not as `if` says. transient.definite: never.",
        across_failover="Deleted once; a repeat gets the first answer, a conflict, too.",
        example=Example(
            config="{type: table.delete, table: orders, key: id}",
            given=({"id": "A1"},),
            gives=(
                (
                    "delete A1 of orders",
                    {
                        "table": "orders",
                        "key": "A1",
                        "action": "delete",
                        "condition": "",
                        "expected": "",
                    },
                ),
            ),
        ),
    ),
)
class TableDelete:
    """Without a condition a row that is not there is as good as deleted."""

    effect = Effect.IDEMPOTENT
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._table = config.text("table")
        self._key = config.expression("key")
        self._if = config.text("if")
        self._equals = config.optional_template("equals")
        if (self._if == "equals") != (self._equals is not None):
            raise InvalidConfig("equals: belongs to if: equals, which needs it")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Key and condition."""
        key = self._key.text(document, context.names)
        expected = ""
        if self._equals is not None:
            expected = json_text(self._equals.value(document, context.names), "equals")
        return Request(
            f"delete {key} of {self._table}",
            {
                "table": self._table,
                "key": key,
                "action": "delete",
                "condition": "" if self._if == "always" else self._if,
                "expected": expected,
            },
        )

    async def perform(self, client: ClusterKeys, request: Request, call: CallContext) -> Reply:
        """Done, or an error that says what was against it."""
        return await changed(client, request, call)
