"""`sql.upsert`: a row per document, updated where it is, inserted where it is not."""

from typing import Any

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.sql import Sql
from molecule.connectors.sql_dialect import identifier, is_identifier
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import Effect
from molecule.model.errors import InvalidConfig


@operation(
    "sql.upsert",
    Spec(
        summary="Write each document as the row that `match` names.",
        fields={
            "table": Field.text("The table."),
            "match": Field.texts("Columns that name the row; no unique constraint is needed."),
            "values": Field.mapping(
                "Columns to expressions, instead of all fields.", required=False
            ),
            "exactly_once": Field.boolean(
                "Write the effect key into a table of the same database in the same transaction: "
                "a repeat then changes nothing, even when others changed the row since."
            ),
        },
        effect=None,
        connection=True,
        errors=(
            "transient.definite: locked, no free connection, time-out before the commit. "
            "transient.unknown: time-out of the commit. data: a value or column that does not fit. "
            "permanent: no such table, a statement that is refused."
        ),
        across_failover="Sent again with the same row and key; the second one changes nothing.",
        example=Example(
            config="""
                type: sql.upsert
                connection: warehouse
                table: late_flights
                match: [flight]
                exactly_once: true
            """,
            given=({"flight": "UA15", "minutes": 42},),
            gives=(("upsert late_flights flight=UA15", {"flight": "UA15", "minutes": 42}),),
        ),
    ),
)
class SqlUpsert:
    """Update and insert in one write transaction: two writers never insert a row twice."""

    effect = Effect.IDEMPOTENT
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._table = identifier(config.text("table"), "table")
        self._match = tuple(identifier(name, "match") for name in config.texts("match"))
        self._values = config.expressions("values") if config.has("values") else None
        self._exactly_once = config.boolean("exactly_once")
        if not self._match:
            raise InvalidConfig("match: must name at least one column")
        if self._values and not set(self._match) <= set(self._values.items):
            raise InvalidConfig("match: its columns must be among values")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The row."""
        row = self._values.values(document, context.names) if self._values else document.value
        if not isinstance(row, dict) or not row:
            raise data_error("the document has no fields to write", field="values")
        for name in row:
            if not is_identifier(name):
                raise data_error(f"{name!r} is no name of a column", field=name)
        for name in self._match:
            if row.get(name) is None:
                raise data_error(f"{name}: match needs a value, there is none", field=name)
        told = " ".join(f"{name}={row[name]}" for name in self._match)
        return Request(f"upsert {self._table} {told}", row)

    async def perform(self, client: Sql, request: Request, call: CallContext) -> Reply:
        """One row written, or found written before."""
        from sqlalchemy import column, quoted_name, table

        row: dict[str, Any] = dict(request.body)
        async with client.writing(call) as connection:
            columns = await client.row(connection, self._table, row)
            if self._exactly_once and not await client.is_first(connection, call.effect_key):
                return Reply(detail=f"{request.target}: was there already")
            target = table(
                quoted_name(self._table, quote=True),
                *(column(quoted_name(name, quote=True)) for name in row),
            )
            await client.dialect.lock_row(connection, request.target)
            where = [target.c[name] == columns[name] for name in self._match]
            rest = {name: value for name, value in columns.items() if name not in self._match}
            changed = await connection.execute(
                target.update().where(*where).values(rest or columns)
            )
            if changed.rowcount == 0:
                await connection.execute(target.insert().values(columns))
        return Reply(detail=f"{request.target}: {changed.rowcount or 'inserted'}")
