"""`sql`: statements on SQL databases; today SQLite.

One pooled engine per connection and worker. A write takes the database's write lock first, asks the
fence, writes and commits; until the commit is asked for, every error is definite.
"""

import asyncio
import datetime as dt
import decimal
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from molecule.component.config import Config
from molecule.component.contract import CallContext
from molecule.component.registry import connector
from molecule.component.spec import ConnectorSpec, Example, Field
from molecule.expression.expression import data_error
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

EFFECTS_TABLE: Final = "molecule_effects"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_SQLITE: Final = re.compile(r"sqlite:///(?P<path>[^?]+)")
_POOL_MAX: Final = 100
_ROWS_MAX: Final = 1_000_000
_EXACT_MAX: Final = 2**53 - 1
_BUSY: Final = ("database is locked", "database table is locked", "database is busy")
_NUMBERS: Final = ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC")


@connector(
    "sql",
    ConnectorSpec(
        summary="An SQL database.",
        fields={
            "url": Field.text("sqlite:////absolute/path.db; other databases come later."),
            "pool": Field.integer(
                "Connections, per worker.", default=4, minimum=1, maximum=_POOL_MAX
            ),
            "busy_timeout": Field.duration("How long to wait for a lock.", default="5s"),
            "rows_max": Field.integer(
                "A query that gives more is an error.", default=10_000, minimum=1, maximum=_ROWS_MAX
            ),
        },
        addresses=("url",),
        example=Example(config='{url: "sqlite:////srv/late.db", pool: 4}'),
    ),
)
class Sql:
    """The client of one connection."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:  # noqa: ARG002
        match = _SQLITE.fullmatch(settings.text("url"))
        if match is None:
            raise InvalidConfig("url: must be sqlite:///PATH; other databases come later")
        self._path = match["path"]
        self._pool = settings.integer("pool")
        self._busy_ms = settings.duration_ms("busy_timeout")
        self.rows_max = settings.integer("rows_max")
        self._engine: AsyncEngine | None = None
        self._columns: dict[str, dict[str, str]] = {}
        self._writer = asyncio.Lock()

    async def open(self) -> None:
        """Make the pool; the file is opened by the first call."""
        from sqlalchemy import URL, event
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=self._path),
            pool_size=self._pool,
            max_overflow=0,
            connect_args={"timeout": self._busy_ms / 1000},
        )
        # The driver's own transactions begin too late to keep two writers apart: ours begin first.
        event.listen(engine.sync_engine, "connect", _no_driver_transactions)
        event.listen(engine.sync_engine, "begin", _begin)
        self._engine = engine

    async def close(self) -> None:
        """Give back every connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def writing(self, call: CallContext) -> AsyncIterator["AsyncConnection"]:
        """A write transaction, committed at the end; the lock is held and the fence asked."""
        from sqlalchemy import exc

        committing = False
        try:
            # SQLite has one writer at a time: ours wait here in line, not on its lock in threads.
            async with (
                self._in_time(call),
                self._writer,
                self._connection(write=True) as connection,
            ):
                await connection.begin()
                call.before_send()
                yield connection
                committing = True
                await _commit(connection)
        except TimeoutError:
            raise _error("no answer in time", "timed_out", sent=committing) from None
        except exc.SQLAlchemyError as error:
            raise _sorted(error, committing=committing) from error

    @asynccontextmanager
    async def reading(self, call: CallContext) -> AsyncIterator["AsyncConnection"]:
        """A connection on which every write is refused by the database."""
        from sqlalchemy import exc

        try:
            async with self._in_time(call), self._connection(write=False) as connection:
                await connection.exec_driver_sql("PRAGMA query_only = ON")
                call.before_send()
                try:
                    yield connection
                finally:
                    await connection.exec_driver_sql("PRAGMA query_only = OFF")
        except TimeoutError:
            raise _error("no answer in time", "timed_out", sent=False) from None
        except exc.SQLAlchemyError as error:
            raise _sorted(error, committing=False) from error

    async def is_first(self, connection: "AsyncConnection", key: str) -> bool:
        """Claim an effect key in the running transaction; False when it was claimed before."""
        await connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {EFFECTS_TABLE} "
            "(effect_key TEXT PRIMARY KEY, applied_at TEXT DEFAULT CURRENT_TIMESTAMP)"
        )
        result = await connection.exec_driver_sql(
            f"INSERT OR IGNORE INTO {EFFECTS_TABLE} (effect_key) VALUES (?)",  # noqa: S608 - a constant
            (key,),
        )
        return result.rowcount == 1

    async def columns(
        self, connection: "AsyncConnection", table: str, wanted: Collection[str]
    ) -> Mapping[str, str]:
        """Column -> declared type, read again when a wanted one is not known yet."""
        known = self._columns.get(table, {})
        if not set(wanted) <= known.keys():
            rows = await connection.exec_driver_sql(
                "SELECT name, type FROM pragma_table_info(?)", (table,)
            )
            known = {str(row["name"]): str(row["type"]).upper() for row in rows.mappings()}
            if not known:
                raise StepError(f"there is no table {table}", error_class=ErrorClass.PERMANENT)
            self._columns[table] = known
        return known

    @asynccontextmanager
    async def _connection(self, *, write: bool) -> AsyncIterator["AsyncConnection"]:
        if self._engine is None:
            raise _error("the connection is not open", "not_open", sent=False)
        async with self._engine.connect() as connection:
            yield await connection.execution_options(molecule_write=write)

    @asynccontextmanager
    async def _in_time(self, call: CallContext) -> AsyncIterator[None]:
        async with asyncio.timeout(call.timeout_s), asyncio.timeout_at(call.deadline):
            yield


def identifier(name: str, field: str) -> str:
    """The name when it can be a table or column. Raises `InvalidConfig`."""
    if not _IDENTIFIER.fullmatch(name):
        raise InvalidConfig(f"{field}: {name!r} is no name of a table or column")
    return name


def storable(name: str, value: Any) -> Any:
    """The value when a column can hold it; else a data error that names the field."""
    if not _IDENTIFIER.fullmatch(name):
        raise data_error(f"{name!r} is no name of a column", field=name)
    if isinstance(value, dict | list):
        kind = "a list" if isinstance(value, list) else "an object"
        raise data_error(f"{name}: {kind} cannot be stored in a column", field=name)
    return value


def check_types(row: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    """Each value fits the declared type; SQLite itself would store `NA` in an INTEGER column."""
    for name, value in row.items():
        if name not in columns:
            raise data_error(f"{name}: the table has no such column", field=name)
        is_number = any(word in columns[name] for word in _NUMBERS)
        if is_number and isinstance(value, str | bytes) and not _is_number(value):
            told = value[:40] if isinstance(value, str) else "bytes"
            raise data_error(
                f"{name}: {told!r} is no number, the column is {columns[name]}", field=name
            )


def readable(value: Any) -> Any:
    """A column's value as a document can hold it: no digit is lost."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT_MAX else str(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return value


def _is_number(value: str | bytes) -> bool:
    try:
        return isinstance(value, str) and decimal.Decimal(value.strip()).is_finite()
    except decimal.InvalidOperation:
        return False


async def _commit(connection: "AsyncConnection") -> None:
    try:
        await connection.commit()
    except BaseException:
        # A commit that failed may leave its transaction, and its lock, on the pooled connection.
        await connection.invalidate()
        raise


def _no_driver_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    write = connection.get_execution_options().get("molecule_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _error(told: str, code: str, *, sent: bool) -> StepError:
    error_class = ErrorClass.TRANSIENT_UNKNOWN if sent else ErrorClass.TRANSIENT_DEFINITE
    return StepError(told, error_class=error_class, error_code=code)


def _sorted(error: Exception, *, committing: bool) -> StepError:
    """The database's error in our classes."""
    from sqlalchemy import exc

    if isinstance(error, exc.TimeoutError):
        return _error("no free connection in the pool", "pool_exhausted", sent=False)
    told = str(error.orig) if isinstance(error, exc.DBAPIError) else str(error)
    if any(word in told for word in _BUSY):
        return _error(told, "locked", sent=False)  # also at commit: SQLite then did not commit
    if isinstance(error, exc.IntegrityError):
        return StepError(told, error_class=ErrorClass.DATA, error_code="integrity")
    if isinstance(error, exc.DataError | exc.InterfaceError | exc.StatementError) and (
        not isinstance(error, exc.OperationalError | exc.ProgrammingError)
    ):
        return StepError(told, error_class=ErrorClass.DATA, error_code="value")
    if "disk" in told or "I/O" in told or "unable to open" in told:
        return _error(told, "storage", sent=committing)
    return StepError(told, error_class=ErrorClass.PERMANENT, error_code="statement")
