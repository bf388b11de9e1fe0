"""`table.get`: the value of a row of a replicated key table."""

import orjson

from molecule.component.config import Config
from molecule.component.contract import (
    CallContext,
    ClusterKeys,
    Reply,
    Request,
    StepContext,
    TableChange,
)
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "table.get",
    Spec(
        summary="Take the value of a row of a replicated key table.",
        fields={
            "table": Field.text("The table's name in this environment; it needs no declaration."),
            "key": Field.expression("Gives the key."),
            "by": Field.text(
                "The unique key that `key` is one of, instead of the row's own.", required=False
            ),
            "missing": Field.choice(
                "What happens to a document whose key has no row: an error, or null as the value.",
                ("fail", "null"),
                default="fail",
            ),
        },
        effect=None,
        inside="cluster",
        errors="data: no such row. limit: never. transient.definite: never.",
        across_failover="Read again: a repeat may see what was written meanwhile.",
        example=Example(
            config="{type: table.get, table: orders, key: id, output: {into: seen}}",
            given=({"id": "A1"},),
            gives=(
                ("get A1 of orders", {"table": "orders", "key": "A1", "action": "get", "by": ""}),
            ),
        ),
    ),
)
class TableGet:
    """Sees every write that was answered before it began, whoever made it."""

    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        self._table = config.text("table")
        self._key = config.expression("key")
        self._by = config.optional_text("by") or ""
        self._missing = config.text("missing")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Table and key."""
        key = self._key.text(document, context.names)
        body = {"table": self._table, "key": key, "action": "get", "by": self._by}
        return Request(f"get {key} of {self._table}", body)

    async def perform(self, client: ClusterKeys, request: Request, call: CallContext) -> Reply:
        """The row's value."""
        call.before_send()
        found = await client.table(TableChange(**request.body), effect_key=call.effect_key)
        if found.answer == "done":
            return Reply((orjson.loads(found.value),), request.target)
        if self._missing == "null":
            return Reply((None,), f"{request.target}: no row")
        key = request.body["key"]
        raise data_error(f"key: {key!r} is not in table {self._table}", field="key")
