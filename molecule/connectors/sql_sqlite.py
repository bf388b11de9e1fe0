"""SQLite behind the connector `sql`: one writer at a time, types that are only a wish."""

import asyncio
import decimal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from molecule.connectors.sql_dialect import EFFECTS_TABLE, error, storable
from molecule.expression.expression import data_error
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_BUSY: Final = ("database is locked", "database table is locked", "database is busy")
_NUMBERS: Final = ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC")


class Sqlite:
    """A file on the node."""

    def __init__(self, path: str, *, pool: int, busy_ms: int) -> None:
        self._path = path
        self._pool = pool
        self._busy_ms = busy_ms
        self._writer = asyncio.Lock()

    def engine(self) -> "AsyncEngine":
        """The file is opened by the first call."""
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
        return engine

    def writing_turn(self) -> asyncio.Lock:
        """SQLite has one writer at a time: ours wait here in line, not on its lock in threads."""
        return self._writer

    async def begin_writing(self, connection: "AsyncConnection", left_s: float) -> None:  # noqa: ARG002 - a file has no clock
        """Take the database's write lock."""
        await connection.execution_options(molecule_write=True)
        await connection.begin()

    async def begin_reading(self, connection: "AsyncConnection", left_s: float) -> None:  # noqa: ARG002 - as above
        """Writes are refused from here on."""
        await connection.execution_options(molecule_write=False)
        await connection.exec_driver_sql("PRAGMA query_only = ON")

    async def end_reading(self, connection: "AsyncConnection") -> None:
        """The connection goes back to the pool."""
        await connection.exec_driver_sql("PRAGMA query_only = OFF")

    async def is_first(self, connection: "AsyncConnection", key: str) -> bool:
        """By the primary key of a table that is made when it is missing."""
        await connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {EFFECTS_TABLE} "
            "(effect_key TEXT PRIMARY KEY, applied_at TEXT DEFAULT CURRENT_TIMESTAMP)"
        )
        result = await connection.exec_driver_sql(
            f"INSERT OR IGNORE INTO {EFFECTS_TABLE} (effect_key) VALUES (?)",  # noqa: S608 - a constant
            (key,),
        )
        return result.rowcount == 1

    async def read_columns(self, connection: "AsyncConnection", table: str) -> Mapping[str, str]:
        """As the table declares them."""
        rows = await connection.exec_driver_sql(
            "SELECT name, type FROM pragma_table_info(?)", (table,)
        )
        return {str(row["name"]): str(row["type"]).upper() for row in rows.mappings()}

    async def lock_row(self, connection: "AsyncConnection", row: str) -> None:
        """The write lock keeps everybody else out."""

    def value(self, name: str, value: Any, declared: str) -> Any:
        """The value itself, when it fits; SQLite would store `NA` in an INTEGER column."""
        value = storable(name, value)
        is_number = any(word in declared for word in _NUMBERS)
        if is_number and isinstance(value, str | bytes) and not _is_number(value):
            told = value[:40] if isinstance(value, str) else "bytes"
            raise data_error(f"{name}: {told!r} is no number, the column is {declared}", field=name)
        return value

    def sort(self, error_: Exception, *, committing: bool) -> StepError:
        """By the words of its messages: it has no codes that tell enough."""
        from sqlalchemy import exc

        told = str(error_.orig) if isinstance(error_, exc.DBAPIError) else str(error_)
        if any(word in told for word in _BUSY):
            return error(told, "locked", sent=False)  # also at commit: SQLite then did not commit
        if isinstance(error_, exc.IntegrityError):
            return StepError(told, error_class=ErrorClass.DATA, error_code="integrity")
        if isinstance(error_, exc.DataError | exc.InterfaceError | exc.StatementError) and (
            not isinstance(error_, exc.OperationalError | exc.ProgrammingError)
        ):
            return StepError(told, error_class=ErrorClass.DATA, error_code="value")
        if "disk" in told or "I/O" in told or "unable to open" in told:
            return error(told, "storage", sent=committing)
        return StepError(told, error_class=ErrorClass.PERMANENT, error_code="statement")


def _is_number(value: str | bytes) -> bool:
    try:
        return isinstance(value, str) and decimal.Decimal(value.strip()).is_finite()
    except decimal.InvalidOperation:
        return False


def _no_driver_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    write = connection.get_execution_options().get("molecule_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
