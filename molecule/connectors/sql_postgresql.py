"""PostgreSQL behind the connector `sql`.

Values go as text and are cast by the database to the column's type, so dates, numbers with many
digits and JSON arrive as documents hold them. Each transaction carries its own end into the
database: what a frozen or lost node left open lets go of its locks by itself.
"""

import ssl
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from molecule.connectors.sql_dialect import EFFECTS_TABLE, error
from molecule.expression.expression import data_error
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

TLS: Final = ("prefer", "verify", "require", "off")
_ASYNCPG_TLS: Final = {"prefer": "prefer", "require": "require", "off": "disable"}
_IDLE_MS: Final = 10_000
"""How long an open transaction may stand still before the server ends it."""
_COLUMNS: Final = """
    SELECT attname, format_type(atttypid, atttypmod) AS declared
    FROM pg_attribute
    WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped
"""
_LIMITS: Final = """
    SELECT set_config('statement_timeout', :left, true), set_config('lock_timeout', :lock, true),
        set_config('idle_in_transaction_session_timeout', :idle, true)
"""
_DEFINITE_CLASSES: Final = ("08", "53", "57", "40")
_DEFINITE_STATES: Final = frozenset({"55P03", "25P03", "0A000"})
_DATA_CLASSES: Final = ("22", "23")
_CREDENTIAL_CLASS: Final = "28"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is; the password is a credential and never part of it."""

    host: str
    port: int
    user: str
    database: str

    @classmethod
    def read(cls, url: str) -> "Address":
        """From `postgresql://USER@HOST:PORT/DATABASE`. Raises `InvalidConfig`."""
        try:
            parts = urlsplit(url)
            port = parts.port or 5432
        except ValueError as error_:
            raise InvalidConfig(f"url: {error_}") from None
        if parts.password is not None:
            raise InvalidConfig("url: must not hold a password; put it into `password`")
        if parts.query or parts.fragment:
            raise InvalidConfig("url: takes no options behind `?`; use tls and ca")
        database = unquote(parts.path.removeprefix("/"))
        if not parts.hostname or not parts.username or not database:
            raise InvalidConfig("url: must be postgresql://USER@HOST:PORT/DATABASE")
        return cls(parts.hostname, port, unquote(parts.username), database)


class Postgresql:
    """A PostgreSQL server."""

    def __init__(
        self,
        address: Address,
        password: str | None,
        *,
        pool: int,
        lock_ms: int,
        tls: str,
        ca: str | None,
    ) -> None:
        self._address = address
        self._password = password
        self._pool = pool
        self._lock_ms = lock_ms
        self._tls = tls
        self._ca = ca
        self._has_effects_table = False

    def engine(self) -> "AsyncEngine":
        """Connections are made by the first calls."""
        from sqlalchemy import URL
        from sqlalchemy.ext.asyncio import create_async_engine

        address = self._address
        return create_async_engine(
            URL.create(
                "postgresql+asyncpg",
                username=address.user,
                password=self._password,
                host=address.host,
                port=address.port,
                database=address.database,
            ),
            pool_size=self._pool,
            max_overflow=0,
            pool_use_lifo=True,
            connect_args={
                "ssl": self._ssl(),
                "server_settings": {"application_name": "molecule", "DateStyle": "ISO"},
            },
        )

    def _ssl(self) -> ssl.SSLContext | str:
        if self._tls != "verify":
            return _ASYNCPG_TLS[self._tls]
        try:
            return ssl.create_default_context(cafile=self._ca)
        except OSError as error_:
            raise InvalidConfig(f"ca: {self._ca} cannot be read: {error_}") from None

    def writing_turn(self) -> nullcontext[None]:
        """Any number of writers."""
        return nullcontext()

    async def begin_writing(self, connection: "AsyncConnection", left_s: float) -> None:
        """The server itself ends what takes longer than the call may."""
        await connection.begin()
        await self._limit(connection, left_s)

    async def begin_reading(self, connection: "AsyncConnection", left_s: float) -> None:
        """A transaction that the server refuses to write in."""
        await connection.execution_options(postgresql_readonly=True)
        await connection.begin()
        await self._limit(connection, left_s)

    async def end_reading(self, connection: "AsyncConnection") -> None:
        """Nothing was written, so nothing is lost."""
        await connection.rollback()

    async def _limit(self, connection: "AsyncConnection", left_s: float) -> None:
        from sqlalchemy import text

        left_ms = max(1, int(left_s * 1000))
        limits = {"left": left_ms, "lock": min(self._lock_ms, left_ms), "idle": _IDLE_MS}
        named = {name: str(milliseconds) for name, milliseconds in limits.items()}
        await connection.execute(text(_LIMITS), named)

    async def is_first(self, connection: "AsyncConnection", key: str) -> bool:
        """By the primary key of a table that is made when it is missing."""
        from sqlalchemy import text

        if not self._has_effects_table:
            await self._make_effects_table(connection)
        result = await connection.execute(
            text(f"INSERT INTO {EFFECTS_TABLE} (effect_key) VALUES (:key) ON CONFLICT DO NOTHING"),  # noqa: S608 - a constant
            {"key": key},
        )
        return bool(result.rowcount == 1)

    async def _make_effects_table(self, connection: "AsyncConnection") -> None:
        from sqlalchemy import text

        found = await connection.execute(
            text("SELECT to_regclass(:name) IS NOT NULL"), {"name": EFFECTS_TABLE}
        )
        if not found.scalar():
            # Two that make it at once would disturb each other; whoever comes second finds it.
            await self.lock_row(connection, EFFECTS_TABLE)
            await connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {EFFECTS_TABLE} (effect_key text PRIMARY KEY, "
                    "applied_at timestamptz NOT NULL DEFAULT now())"
                )
            )
            return
        self._has_effects_table = True

    async def read_columns(self, connection: "AsyncConnection", table: str) -> Mapping[str, str]:
        """As the catalogue tells them, found by the search path."""
        from sqlalchemy import text

        rows = await connection.execute(text(_COLUMNS), {"name": f'"{table}"'})
        return {str(row["attname"]): str(row["declared"]) for row in rows.mappings()}

    async def lock_row(self, connection: "AsyncConnection", row: str) -> None:
        """An advisory lock by the name of the row, whether it is there or not."""
        from sqlalchemy import text

        statement = text("SELECT pg_advisory_xact_lock(hashtextextended(:row, 0))")
        await connection.execute(statement, {"row": row})

    def value(self, name: str, value: Any, declared: str) -> "Any | ColumnElement[Any]":
        """A text that the database casts to the column's type."""
        from sqlalchemy import cast, literal
        from sqlalchemy.types import Text

        return cast(literal(_as_text(name, value, declared), Text()), _type(declared))

    def sort(self, error_: Exception, *, committing: bool) -> StepError:
        """By the SQLSTATE; without one the connection itself has failed."""
        from sqlalchemy import exc

        orig = error_.orig if isinstance(error_, exc.DBAPIError) else error_
        told = " ".join(str(orig).split())
        told = told.split(">: ", 1)[-1]
        state = str(getattr(orig, "sqlstate", None) or "")
        if state.startswith(_DATA_CLASSES):
            code = "integrity" if state.startswith("23") else "value"
            return StepError(told, error_class=ErrorClass.DATA, error_code=code)
        if state.startswith(_CREDENTIAL_CLASS):
            return StepError(told, error_class=ErrorClass.PERMANENT, error_code="credential")
        if state.startswith("40"):
            return error(told, "conflict", sent=False)  # rolled back, at commit too
        if state.startswith(_DEFINITE_CLASSES) or state in _DEFINITE_STATES:
            return error(told, "locked" if state == "55P03" else "unavailable", sent=committing)
        if state:
            return StepError(told, error_class=ErrorClass.PERMANENT, error_code="statement")
        if _is_of_the_value(error_):
            return StepError(told, error_class=ErrorClass.DATA, error_code="value")
        return error(told or type(orig).__name__, "unreachable", sent=committing)


def _as_text(name: str, value: Any, declared: str) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
        case bytes():
            return f"\\x{value.hex()}"
        case dict() | list() if declared in ("json", "jsonb"):
            return orjson.dumps(value).decode()
        case _:
            kind = "a list" if isinstance(value, list) else "an object"
            raise data_error(
                f"{name}: {kind} cannot be stored, the column is {declared}", field=name
            )


def _type(declared: str) -> Any:
    """A type that SQLAlchemy writes as the catalogue names it."""
    from sqlalchemy.types import UserDefinedType

    class Named(UserDefinedType[Any]):
        """By its name in the catalogue, which is no user's text."""

        cache_ok = False

        def get_col_spec(self, **_options: Any) -> str:
            return declared

    return Named()


def _is_of_the_value(error_: Exception) -> bool:
    """True when the driver could not even encode a parameter: nothing was sent."""
    from sqlalchemy import exc

    return isinstance(error_, exc.DBAPIError) and "invalid input for query argument" in str(error_)
