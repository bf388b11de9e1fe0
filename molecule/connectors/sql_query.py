"""`sql.query`: rows of a query become documents."""

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.sql import Sql
from molecule.connectors.sql_dialect import readable
from molecule.connectors.sql_statement import Statement
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StepError


@operation(
    "sql.query",
    Spec(
        summary="Ask the database; hand on its rows.",
        fields={
            "statement": Field.text("SQL with :name where a value goes."),
            "parameters": Field.mapping("Names to expressions.", required=False),
            "rows": Field.choice(
                "A document per row, one with the list of all, or exactly one row.",
                ("each", "all", "one"),
                default="each",
            ),
        },
        effect=None,
        connection=True,
        reads_outside=True,
        errors=(
            "transient.definite: locked, no free connection, time-out. data: not exactly one row. "
            "limit: more rows than rows_max. permanent: a statement that is refused, writes too."
        ),
        across_failover="Asked again; the answer may then be a newer one.",
        example=Example(
            config="""
                type: sql.query
                connection: warehouse
                statement: "SELECT name FROM planes WHERE tailnum = :tail"
                parameters: {tail: tailnum}
            """,
            given=({"tailnum": "N14228"},),
            gives=(("SELECT name FROM planes WHERE tailnum = :tail", {"tail": "N14228"}),),
        ),
    ),
)
class SqlQuery:
    """Runs on a connection on which the database itself refuses writes."""

    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        self._statement = Statement(config)
        self._rows = config.text("rows")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The parameters' values."""
        return Request(self._statement.told, self._statement.values(document, context))

    async def perform(self, client: Sql, request: Request, call: CallContext) -> Reply:
        """The rows as mappings, bounded by the connection's `rows_max`."""
        from sqlalchemy import text

        async with client.reading(call) as connection:
            result = await connection.execute(text(self._statement.text), request.body)
            fetched = result.mappings().fetchmany(client.rows_max + 1)
        rows = [{str(name): readable(value) for name, value in row.items()} for row in fetched]
        if len(rows) > client.rows_max:
            raise StepError(
                f"more than rows_max, {client.rows_max} rows",
                error_class=ErrorClass.LIMIT,
                error_code="rows_max",
            )
        if self._rows == "one" and len(rows) != 1:
            raise data_error(f"rows: must be one, there are {len(rows)}", field="rows")
        values = (rows,) if self._rows == "all" else tuple(rows)
        return Reply(values, f"{len(rows)} rows")
