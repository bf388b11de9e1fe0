"""`table.put`: write a row of a replicated key table, if it is as a condition says."""

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
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import InvalidConfig, StepError


@operation(
    "table.put",
    Spec(
        summary="Write a row of a replicated key table, if it is as a condition says.",
        fields={
            "table": Field.text("The table's name in this environment; it needs no declaration."),
            "key": Field.expression("Gives the key."),
            "value": Field.template("The row's value instead of the document.", required=False),
            "unique": Field.mapping(
                "Further keys of the row: each value belongs to one row of the table at most.",
                required=False,
            ),
            "if": Field.choice(
                "Write only when there is no row, when there is one, or when its value `equals`.",
                ("always", "absent", "present", "equals"),
                default="always",
            ),
            "equals": Field.template("With `if: equals`: the value it must have.", required=False),
        },
        effect=None,
        inside="cluster",
        errors=(
            "data `table_conflict`: the row is not as `if` says; data `table_taken`: a unique key "
            "belongs to another row. limit: row, table or environment is full. "
            "transient.definite: never."
        ),
        across_failover="Written once; a repeat gets the first answer, a conflict, too.",
        example=Example(
            config="{type: table.put, table: orders, key: id, value: {at: '${desk}'}, if: absent}",
            given=({"id": "A1", "desk": "B"},),
            gives=(
                (
                    "put A1 of orders",
                    {
                        "table": "orders",
                        "key": "A1",
                        "action": "put",
                        "value": '{"at":"B"}',
                        "unique": {},
                        "condition": "absent",
                        "expected": "",
                    },
                ),
            ),
        ),
    ),
)
class TablePut:
    """Committed with a majority before the step is done; the document goes on as it was."""

    effect = Effect.IDEMPOTENT
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._table = config.text("table")
        self._key = config.expression("key")
        self._value = config.optional_template("value")
        self._unique = config.expressions("unique")
        self._if = config.text("if")
        self._equals = config.optional_template("equals")
        if (self._if == "equals") != (self._equals is not None):
            raise InvalidConfig("equals: belongs to if: equals, which needs it")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The whole change: key, value, further keys and condition."""
        names = context.names
        key = self._key.text(document, names)
        value = self._value.value(document, names) if self._value else document.value
        expected = json_text(self._equals.value(document, names), "equals") if self._equals else ""
        unique = {name: item.text(document, names) for name, item in self._unique.items.items()}
        return Request(
            f"put {key} of {self._table}",
            {
                "table": self._table,
                "key": key,
                "action": "put",
                "value": json_text(value, "value"),
                "unique": unique,
                "condition": "" if self._if == "always" else self._if,
                "expected": expected,
            },
        )

    async def perform(self, client: ClusterKeys, request: Request, call: CallContext) -> Reply:
        """Done, or an error that says what was against it."""
        return await changed(client, request, call)


async def changed(client: ClusterKeys, request: Request, call: CallContext) -> Reply:
    """Say a change; a condition that does not hold is an error of the document."""
    call.before_send()
    found = await client.table(TableChange(**request.body), effect_key=call.effect_key)
    if found.answer == "done":
        return Reply((), request.target)
    raise StepError(
        f"{request.target}: {found.value}",
        error_class=ErrorClass.DATA,
        error_code=f"table_{found.answer}",
    )


def json_text(value: object, field: str) -> str:
    """The value as it is stored and compared: JSON with sorted names."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:
        raise data_error(f"{field}: cannot be stored as JSON: {error}", field=field) from None
