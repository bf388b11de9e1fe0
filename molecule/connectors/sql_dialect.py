"""What differs between databases behind the connector `sql`, and what they share of it.

`sql_sqlite.py` and `sql_postgresql.py` each fill the protocol; `sql.py` chooses by the address.
What must stay true: an error is called definite only when the database certainly kept nothing.
"""

import datetime as dt
import decimal
import re
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol

from molecule.expression.expression import data_error
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

EFFECTS_TABLE: Final = "molecule_effects"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_EXACT_MAX: Final = 2**53 - 1


class Dialect(Protocol):
    """One kind of database: how it is reached, how it writes, and what its errors mean."""

    def engine(self) -> "AsyncEngine":
        """A pool; nothing is connected yet."""
        ...

    def writing_turn(self) -> AbstractAsyncContextManager[object]:
        """Held while this worker writes; databases with many writers need none."""
        ...

    async def begin_writing(self, connection: "AsyncConnection", left_s: float) -> None:
        """Begin a transaction that ends by itself when its time is over or its client is gone."""
        ...

    async def begin_reading(self, connection: "AsyncConnection", left_s: float) -> None:
        """Have the database refuse every write of this connection, for the time of a call."""
        ...

    async def end_reading(self, connection: "AsyncConnection") -> None:
        """Undo that."""
        ...

    async def is_first(self, connection: "AsyncConnection", key: str) -> bool:
        """Claim an effect key in the running transaction; False when it was claimed before."""
        ...

    async def read_columns(self, connection: "AsyncConnection", table: str) -> Mapping[str, str]:
        """Column -> declared type; empty when there is no such table."""
        ...

    async def lock_row(self, connection: "AsyncConnection", row: str) -> None:
        """Let one writer at a time look whether this row is there; held until the commit."""
        ...

    def value(self, name: str, value: Any, declared: str) -> "Any | ColumnElement[Any]":
        """The value as a column of this type takes it. Raises a data error that names the field."""
        ...

    def sort(self, error: Exception, *, committing: bool) -> StepError:
        """The database's error in our classes."""
        ...


def identifier(name: str, field: str) -> str:
    """The name when it can be a table or column. Raises `InvalidConfig`."""
    if not _IDENTIFIER.fullmatch(name):
        raise InvalidConfig(f"{field}: {name!r} is no name of a table or column")
    return name


def is_identifier(name: str) -> bool:
    """True when it can be the name of a column."""
    return _IDENTIFIER.fullmatch(name) is not None


def storable(name: str, value: Any) -> Any:
    """The value when a parameter can hold it; else a data error that names the field."""
    if not _IDENTIFIER.fullmatch(name):
        raise data_error(f"{name!r} is no name of a column", field=name)
    if isinstance(value, dict | list):
        kind = "a list" if isinstance(value, list) else "an object"
        raise data_error(f"{name}: {kind} cannot be stored in a column", field=name)
    return value


def check_columns(row: Collection[str], columns: Mapping[str, str]) -> None:
    """Raises a data error for the first field that is no column."""
    for name in row:
        if name not in columns:
            raise data_error(f"{name}: the table has no such column", field=name)


def readable(value: Any) -> Any:
    """A column's value as a document can hold it: no digit is lost."""
    if isinstance(value, bool | str | bytes | float) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _EXACT_MAX else str(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    if isinstance(value, dict):
        return {str(name): readable(item) for name, item in value.items()}
    return str(value)


def error(told: str, code: str, *, sent: bool) -> StepError:
    """A transient error: unknown when the commit was asked for, else definite."""
    error_class = ErrorClass.TRANSIENT_UNKNOWN if sent else ErrorClass.TRANSIENT_DEFINITE
    return StepError(told, error_class=error_class, error_code=code)
