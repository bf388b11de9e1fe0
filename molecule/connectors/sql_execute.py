"""`sql.execute`: a statement that changes something."""

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.sql import Sql
from molecule.connectors.sql_statement import Statement
from molecule.model.document import Document
from molecule.model.effect import Effect


@operation(
    "sql.execute",
    Spec(
        summary="Run a statement per document, in a transaction of its own.",
        fields={
            "statement": Field.text("SQL with :name where a value goes."),
            "parameters": Field.mapping("Names to expressions.", required=False),
            "exactly_once": Field.boolean(
                "Write the effect key into a table of the same database in the same transaction."
            ),
        },
        effect=None,
        connection=True,
        errors=(
            "transient.definite: locked, no free connection, time-out before the commit. "
            "transient.unknown: time-out of the commit. data: a value or constraint. "
            "permanent: a statement that is refused."
        ),
        across_failover="With exactly_once sent again without harm; otherwise never by itself.",
        example=Example(
            config="""
                type: sql.execute
                connection: warehouse
                statement: "UPDATE stock SET left = left - :qty WHERE article = :article"
                parameters: {qty: qty, article: article}
                exactly_once: true
            """,
            given=({"article": "A1", "qty": 2},),
            gives=(
                (
                    "UPDATE stock SET left = left - :qty WHERE article = :article",
                    {"qty": 2, "article": "A1"},
                ),
            ),
        ),
    ),
)
class SqlExecute:
    """Once by default: nobody knows what a statement does when it runs twice."""

    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._statement = Statement(config)
        self._exactly_once = config.boolean("exactly_once")
        self.effect = Effect.IDEMPOTENT if self._exactly_once else Effect.ONCE

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The parameters' values."""
        return Request(self._statement.told, self._statement.values(document, context))

    async def perform(self, client: Sql, request: Request, call: CallContext) -> Reply:
        """The number of rows that changed; 0 when the key was there already."""
        from sqlalchemy import text

        async with client.writing(call) as connection:
            if self._exactly_once and not await client.is_first(connection, call.effect_key):
                return Reply(({"rows": 0, "repeated": True},), "was there already")
            result = await connection.execute(text(self._statement.text), request.body)
            rows = max(result.rowcount, 0)
        return Reply(({"rows": rows, "repeated": False},), f"{rows} rows")
