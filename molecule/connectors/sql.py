"""`sql`: statements on SQL databases; SQLite and PostgreSQL.

One pooled engine per connection and worker; what differs between databases is told by a
`Dialect`. A write begins its transaction first, then asks the fence, writes and commits; until the
commit is asked for, every error is definite.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from molecule.component.config import Config
from molecule.component.contract import CallContext
from molecule.component.registry import connector
from molecule.component.spec import ConnectorSpec, Example, Field
from molecule.connectors.sql_dialect import Dialect, check_columns, error
from molecule.connectors.sql_postgresql import TLS, Address, Postgresql
from molecule.connectors.sql_sqlite import Sqlite
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, MoleculeError, StepError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_SQLITE: Final = re.compile(r"sqlite:///(?P<path>[^?]+)")
_POSTGRESQL: Final = re.compile(r"postgres(ql)?://")
_POOL_MAX: Final = 100
_ROWS_MAX: Final = 1_000_000


@connector(
    "sql",
    ConnectorSpec(
        summary="An SQL database: SQLite or PostgreSQL.",
        fields={
            "url": Field.text(
                "sqlite:////absolute/path.db or postgresql://USER@HOST:PORT/DATABASE."
            ),
            "password": Field.credential("Of the user (PostgreSQL)."),
            "tls": Field.choice(
                "PostgreSQL: verify: certificate and name are checked; require: encrypted; "
                "prefer: encrypted when the server can; off.",
                TLS,
                default="prefer",
            ),
            "ca": Field.text("PEM file to verify by; else the machine's own.", required=False),
            "pool": Field.integer(
                "Connections, per worker.", default=4, minimum=1, maximum=_POOL_MAX
            ),
            "busy_timeout": Field.duration("How long to wait for a lock.", default="5s"),
            "rows_max": Field.integer(
                "A query that gives more is an error.", default=10_000, minimum=1, maximum=_ROWS_MAX
            ),
        },
        addresses=("url", "password"),
        example=Example(config='{url: "sqlite:////srv/late.db", pool: 4}'),
    ),
)
class Sql:
    """The client of one connection."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:
        self.dialect: Dialect = _dialect(settings, credential)
        self.rows_max = settings.integer("rows_max")
        self._engine: AsyncEngine | None = None
        self._columns: dict[str, Mapping[str, str]] = {}

    async def open(self) -> None:
        """Make the pool; the database is reached by the first call."""
        self._engine = self.dialect.engine()

    async def close(self) -> None:
        """Give back every connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def writing(self, call: CallContext) -> AsyncIterator["AsyncConnection"]:
        """A write transaction, committed at the end; begun before the fence is asked."""
        committing = False
        try:
            async with (
                self._in_time(call),
                self.dialect.writing_turn(),
                self._connection() as connection,
            ):
                await self.dialect.begin_writing(connection, _left_s(call))
                call.before_send()
                yield connection
                committing = True
                await _commit(connection)
        except Exception as found:
            raise self._sorted(found, committing=committing) from found

    @asynccontextmanager
    async def reading(self, call: CallContext) -> AsyncIterator["AsyncConnection"]:
        """A connection on which every write is refused by the database."""
        try:
            async with self._in_time(call), self._connection() as connection:
                await self.dialect.begin_reading(connection, _left_s(call))
                call.before_send()
                try:
                    yield connection
                finally:
                    await self.dialect.end_reading(connection)
        except Exception as found:
            raise self._sorted(found, committing=False) from found

    async def is_first(self, connection: "AsyncConnection", key: str) -> bool:
        """Claim an effect key in the running transaction; False when it was claimed before."""
        return await self.dialect.is_first(connection, key)

    async def columns(
        self, connection: "AsyncConnection", table: str, wanted: Collection[str]
    ) -> Mapping[str, str]:
        """Column -> declared type, read again when a wanted one is not known yet."""
        known = self._columns.get(table, {})
        if not set(wanted) <= known.keys():
            known = await self.dialect.read_columns(connection, table)
            if not known:
                raise StepError(f"there is no table {table}", error_class=ErrorClass.PERMANENT)
            self._columns[table] = known
        return known

    async def row(
        self, connection: "AsyncConnection", table: str, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values as the table's columns take them. Raises a data error that names the field."""
        columns = await self.columns(connection, table, values)
        check_columns(values, columns)
        return {
            name: self.dialect.value(name, value, columns[name]) for name, value in values.items()
        }

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["AsyncConnection"]:
        if self._engine is None:
            raise error("the connection is not open", "not_open", sent=False)
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def _in_time(self, call: CallContext) -> AsyncIterator[None]:
        async with asyncio.timeout(call.timeout_s), asyncio.timeout_at(call.deadline):
            yield

    def _sorted(self, found: Exception, *, committing: bool) -> Exception:
        from sqlalchemy import exc

        if isinstance(found, exc.TimeoutError):
            return error("no free connection in the pool", "pool_exhausted", sent=False)
        if isinstance(found, TimeoutError):
            return error("no answer in time", "timed_out", sent=committing)
        if isinstance(found, exc.SQLAlchemyError):
            return self.dialect.sort(found, committing=committing)
        if isinstance(found, OSError):
            return error(f"{type(found).__name__}: {found}", "unreachable", sent=committing)
        # What the fence or the operation raised passes through; so does the driver's own error of
        # a connection that was never made.
        return found if _is_ours(found) else self.dialect.sort(found, committing=committing)


def _dialect(settings: Config, credential: Callable[[str], str]) -> Dialect:
    url, pool, busy_ms = (
        settings.text("url"),
        settings.integer("pool"),
        settings.duration_ms("busy_timeout"),
    )
    if match := _SQLITE.fullmatch(url):
        return Sqlite(match["path"], pool=pool, busy_ms=busy_ms)
    if _POSTGRESQL.match(url):
        reference = settings.optional_text("password")
        return Postgresql(
            Address.read(url),
            credential(reference) if reference else None,
            pool=pool,
            lock_ms=busy_ms,
            tls=settings.text("tls"),
            ca=settings.optional_text("ca"),
        )
    raise InvalidConfig("url: must be sqlite:///PATH or postgresql://USER@HOST:PORT/DATABASE")


def _left_s(call: CallContext) -> float:
    """What is left of the call; the database ends it then too."""
    return min(call.timeout_s, call.deadline - asyncio.get_running_loop().time())


def _is_ours(found: Exception) -> bool:
    return isinstance(found, MoleculeError)


async def _commit(connection: "AsyncConnection") -> None:
    try:
        await connection.commit()
    except BaseException:
        # A commit that failed may leave its transaction, and its lock, on the pooled connection.
        await connection.invalidate()
        raise
