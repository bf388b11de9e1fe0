"""`sql.*` on a real PostgreSQL server: types, keys, errors by class, and a server that dies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from molecule.connectors.sql import Sql
from molecule.connectors.sql_postgresql import Address
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StaleToken, StepError
from tests.components import postgresql_server
from tests.components.calls import Fence, a_call, a_client, a_context, a_document, a_step
from tests.components.postgresql_server import PASSWORD, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

UPSERT = """
    type: sql.upsert
    connection: w
    table: late
    match: [flight]
    exactly_once: true
"""
TABLE = """
    CREATE TABLE late (
        flight text, minutes integer, at timestamptz, fee numeric(30, 4), day date,
        facts jsonb, sealed bytea, ok boolean, big bigint
    )
"""
ROW = {"flight": "UA1", "minutes": 42}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[Server]:
    async with postgresql_server.running() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Server) -> AsyncIterator[Sql]:
    await server.run("DROP TABLE IF EXISTS late, molecule_effects", TABLE)
    made = a_sql(server)
    await made.open()
    yield made
    await made.close()


def a_sql(server: Server, **settings: Any) -> Sql:
    made: Sql = a_client("sql", server.settings(**settings), {"env:PGWORD": PASSWORD})
    return made


async def perform(client: Sql, config: str, value: Any, **call: Any) -> Any:
    operation = a_step(config).component
    request = operation.prepare(a_document(value), a_context())
    return await operation.perform(client, request, a_call(**call))


async def rows(server: Server, statement: str = "SELECT flight, minutes FROM late") -> list[Any]:
    return sorted((await server.run(statement))[0])


async def test_a_row_is_inserted_then_updated(client: Sql, server: Server) -> None:
    await perform(client, UPSERT, ROW, key="e1/store/0")
    await perform(client, UPSERT, {**ROW, "minutes": 50}, key="e2/store/0")
    await perform(client, UPSERT, {"flight": "UA2", "minutes": 1}, key="e3/store/0")
    assert await rows(server) == [("UA1", 50), ("UA2", 1)]


async def test_the_same_key_changes_nothing_even_after_others_changed_the_row(
    client: Sql, server: Server
) -> None:
    await perform(client, UPSERT, ROW, key="e1/store/0")
    await perform(client, UPSERT, {**ROW, "minutes": 50}, key="e2/store/0")
    reply = await perform(client, UPSERT, ROW, key="e1/store/0")
    assert "was there already" in reply.detail
    assert await rows(server) == [("UA1", 50)]


async def test_two_workers_at_once_write_each_row_and_each_key_once(
    client: Sql, server: Server
) -> None:
    """The table has no unique constraint, and the table of keys is made in the race."""
    other = a_sql(server)
    await other.open()
    calls = [
        perform(
            sql, UPSERT, {"flight": f"F{n % 7}", "minutes": n}, key=f"e{n}/store/0", timeout_s=60
        )
        for n in range(40)
        for sql in (client, other)
    ]
    await asyncio.gather(*calls)
    await other.close()
    assert len(await rows(server)) == 7
    assert await rows(server, "SELECT count(*) FROM molecule_effects") == [(40,)]


async def test_values_arrive_as_documents_hold_them_and_come_back_so(
    client: Sql, server: Server
) -> None:
    row = {
        "flight": "'); DROP TABLE late; --",
        "minutes": "12",
        "at": "2013-01-01T10:00:00+00:00",
        "fee": "12345678901234567890.1234",
        "day": "2013-01-01",
        "facts": {"a": [1, None]},
        "sealed": b"\x00\xff",
        "ok": True,
        "big": 9007199254740993,
    }
    await perform(client, UPSERT, row)
    await server.run("SET TIME ZONE 'UTC'")
    query = '{type: sql.query, connection: w, statement: "SELECT * FROM late"}'
    (found,) = (await perform(client, query, {})).values
    assert found.pop("at").startswith("2013-01-01T")
    expected = {**row, "minutes": 12, "big": "9007199254740993"}
    expected.pop("at")
    assert found == expected


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"minutes": "NA"}, "NA"),
        ({"minutes": [1]}, "minutes: a list cannot be stored"),
        ({"flight": {"a": 1}}, "flight: an object cannot be stored"),
        ({"at": "yesterday-ish"}, "yesterday-ish"),
        ({"colour": "red"}, "colour: the table has no such column"),
        ({"minutes": 2**40}, "out of range"),
    ],
)
async def test_a_value_that_does_not_fit_is_a_data_error(
    client: Sql, server: Server, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(StepError, match=told) as raised:
        await perform(client, UPSERT, {**ROW, **change})
    assert raised.value.error_class is ErrorClass.DATA
    assert await rows(server) == []


async def test_a_constraint_is_a_data_error_and_a_missing_table_permanent(
    client: Sql, server: Server
) -> None:
    await server.run("ALTER TABLE late ADD CHECK (minutes > 0)")
    with pytest.raises(StepError, match="check constraint") as raised:
        await perform(client, UPSERT, {**ROW, "minutes": -1})
    assert (raised.value.error_class, raised.value.error_code) == (ErrorClass.DATA, "integrity")
    with pytest.raises(StepError, match="there is no table nowhere") as raised:
        await perform(client, UPSERT.replace("table: late", "table: nowhere"), ROW)
    assert raised.value.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize("statement", ["DELETE FROM late", "DROP TABLE late", "SELEKT 1"])
async def test_a_query_cannot_write(client: Sql, server: Server, statement: str) -> None:
    await perform(client, UPSERT, ROW)
    query = f'{{type: sql.query, connection: w, statement: "{statement}"}}'
    with pytest.raises(StepError) as raised:
        await perform(client, query, {})
    assert raised.value.error_class is ErrorClass.PERMANENT
    assert await rows(server) == [("UA1", 42)]
    await perform(client, UPSERT, {**ROW, "minutes": 1}, key="e2/it/0")


async def test_a_statement_runs_once_with_its_key(client: Sql, server: Server) -> None:
    once = """
        type: sql.execute
        connection: w
        statement: "INSERT INTO late (flight, minutes) VALUES (:flight, :minutes)"
        parameters: {flight: flight, minutes: minutes}
        exactly_once: true
    """
    for _ in range(2):
        await perform(client, once, ROW, key="e1/count/0")
    assert await rows(server) == [("UA1", 42)]


async def test_the_fence_stops_the_write(client: Sql, server: Server) -> None:
    with pytest.raises(StaleToken):
        await perform(client, UPSERT, ROW, fence=Fence(down=True))
    assert await rows(server) == []


async def test_a_lock_of_somebody_else_is_definite(client: Sql, server: Server) -> None:
    await perform(client, UPSERT, ROW)
    impatient = a_sql(server, busy_timeout="100ms")
    await impatient.open()
    holder = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="tester", password=PASSWORD, database="postgres"
    )
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("UPDATE late SET minutes = 7")
    with pytest.raises(StepError) as raised:
        await perform(impatient, UPSERT, {**ROW, "minutes": 8}, key="e2/it/0")
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.TRANSIENT_DEFINITE,
        "locked",
    )
    with pytest.raises(StepError) as raised:
        await perform(client, UPSERT, {**ROW, "minutes": 8}, key="e2/it/0", timeout_s=0.3)
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    await transaction.rollback()
    await holder.close()
    await perform(impatient, UPSERT, {**ROW, "minutes": 9}, key="e2/it/0")
    await impatient.close()
    assert await rows(server) == [("UA1", 9)]


async def test_a_transaction_of_a_frozen_worker_is_ended_by_the_server(
    client: Sql, server: Server
) -> None:
    """Its locks must not hold up whoever goes on with the execution."""
    async with client.writing(a_call(timeout_s=5.0)) as connection:
        from sqlalchemy import text

        found = await connection.execute(
            text(
                "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
                " current_setting('idle_in_transaction_session_timeout')"
            )
        )
        (limits,) = found.all()
    statement_ms = int(limits[0].removesuffix("ms").removesuffix("s"))
    assert 0 < statement_ms <= 5000
    assert limits[2] == "10s"


async def test_a_rejected_password_is_permanent_and_nobody_there_is_definite(
    server: Server,
) -> None:
    wrong = a_client("sql", server.settings(), {"env:PGWORD": "another"})
    await wrong.open()
    with pytest.raises(StepError, match="password") as raised:
        await perform(wrong, UPSERT, ROW)
    await wrong.close()
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.PERMANENT,
        "credential",
    )
    assert "another" not in str(raised.value)
    nobody = a_sql(server, url='"postgresql://tester@127.0.0.1:1/postgres"')
    await nobody.open()
    with pytest.raises(StepError) as raised:
        await perform(nobody, UPSERT, ROW)
    await nobody.close()
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.TRANSIENT_DEFINITE,
        "unreachable",
    )


async def test_a_server_that_dies_in_the_middle_is_definite_before_the_commit(
    client: Sql, server: Server
) -> None:
    await perform(client, UPSERT, ROW)
    await server.kill()
    with pytest.raises(StepError) as raised:
        await perform(client, UPSERT, {**ROW, "minutes": 2}, key="e2/it/0")
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    await server.start()
    await perform(client, UPSERT, {**ROW, "minutes": 2}, key="e2/it/0")
    assert await rows(server) == [("UA1", 2)]


async def test_a_server_that_dies_at_the_commit_is_unknown(client: Sql, server: Server) -> None:
    with pytest.raises(StepError) as raised:
        async with client.writing(a_call()):
            await server.kill()
    await server.start()
    assert raised.value.error_class is ErrorClass.TRANSIENT_UNKNOWN


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://u:secret@h/d", "must not hold a password"),
        ("postgresql://u@h/", "must be postgresql://USER@HOST:PORT/DATABASE"),
        ("postgresql://h/d", "must be postgresql://USER@HOST:PORT/DATABASE"),
        ("postgresql://u@h:99999/d", "url: "),
        ("postgresql://u@h/d?sslmode=disable", "takes no options"),
    ],
)
async def test_a_bad_address_says_what_is_wrong(url: str, told: str) -> None:
    with pytest.raises(InvalidConfig, match=told) as raised:
        Address.read(url)
    assert "secret" not in str(raised.value)
