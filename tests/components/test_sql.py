"""`sql.*` on real SQLite files, with writers in several processes."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from molecule.connectors.sql import Sql
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StaleToken, StepError
from tests.components.calls import Fence, a_call, a_client, a_context, a_document, a_step

ROOT = Path(__file__).parents[2]
UPSERT = """
    type: sql.upsert
    connection: w
    table: late
    match: [flight, at]
    exactly_once: true
"""
ROW = {"flight": "UA1", "at": "10:00", "minutes": 42}
WRITERS = 3
ROWS = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database whose table has no unique constraint."""
    found = tmp_path / "late.db"
    with closing(sqlite3.connect(found)) as database, database:
        database.execute("CREATE TABLE late (flight TEXT, at TEXT, minutes INTEGER, note TEXT)")
    return found


@pytest.fixture
async def client(path: Path) -> AsyncIterator[Sql]:
    made: Sql = a_client("sql", f'{{url: "sqlite:///{path}", busy_timeout: 100ms}}')
    await made.open()
    yield made
    await made.close()


def rows(path: Path, statement: str = "SELECT flight, at, minutes FROM late") -> list[Any]:
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(statement).fetchall()


async def perform(client: Sql, config: str, value: Any, **call: Any) -> Any:
    operation = a_step(config).component
    request = operation.prepare(a_document(value), a_context())
    return await operation.perform(client, request, a_call(**call))


async def test_a_row_is_inserted_then_updated(client: Sql, path: Path) -> None:
    await perform(client, UPSERT, ROW, key="e1/store/0")
    await perform(client, UPSERT, {**ROW, "minutes": 50}, key="e2/store/0")
    await perform(client, UPSERT, {**ROW, "at": "11:00"}, key="e3/store/0")
    assert rows(path) == [("UA1", "10:00", 50), ("UA1", "11:00", 42)]


async def test_the_same_key_changes_nothing_even_after_others_changed_the_row(
    client: Sql, path: Path
) -> None:
    await perform(client, UPSERT, ROW, key="e1/store/0")
    await perform(client, UPSERT, {**ROW, "minutes": 50}, key="e2/store/0")
    reply = await perform(client, UPSERT, ROW, key="e1/store/0")
    assert "was there already" in reply.detail
    assert rows(path) == [("UA1", "10:00", 50)]


async def test_many_processes_with_the_same_keys_write_each_row_once(path: Path) -> None:
    command = (sys.executable, "-m", "tests.components.sql_writer", str(path), str(ROWS))
    writers = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(WRITERS)]
    assert [await writer.wait() for writer in writers] == [0] * WRITERS
    expected = [(f"F{number}", number) for number in range(ROWS)]
    assert sorted(rows(path, "SELECT flight, minutes FROM late")) == sorted(expected)
    assert rows(path, "SELECT count(*) FROM molecule_effects") == [(ROWS,)]


async def test_many_at_once_in_one_process_write_each_row_once(client: Sql, path: Path) -> None:
    calls = [
        perform(client, UPSERT, {**ROW, "flight": f"F{n % 5}"}, key=f"e{n}/store/0")
        for n in range(20)
    ]
    await asyncio.gather(*calls)
    assert len(rows(path)) == 5


async def test_a_locked_database_is_definite_and_nothing_was_written(
    client: Sql, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StepError, match="locked") as raised:
        await perform(client, UPSERT, ROW)
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.TRANSIENT_DEFINITE,
        "locked",
    )
    other.execute("ROLLBACK")
    other.close()
    await perform(client, UPSERT, ROW)
    assert rows(path) == [("UA1", "10:00", 42)]


async def test_a_reader_that_holds_the_commit_up_makes_it_definite(client: Sql, path: Path) -> None:
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM late").fetchall()
    with pytest.raises(StepError) as raised:
        await perform(client, UPSERT, ROW)
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    reader.execute("ROLLBACK")
    reader.close()
    assert rows(path) == []


async def test_the_fence_is_asked_with_the_lock_held_and_stops_the_write(
    client: Sql, path: Path
) -> None:
    with pytest.raises(StaleToken):
        await perform(client, UPSERT, ROW, fence=Fence(down=True))
    assert rows(path) == []
    await perform(client, UPSERT, ROW)


async def test_a_time_out_while_waiting_for_the_lock_is_definite(path: Path) -> None:
    client = a_client("sql", f'{{url: "sqlite:///{path}", busy_timeout: 2s}}')
    await client.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StepError) as raised:
        await perform(client, UPSERT, ROW, timeout_s=0.2)
    other.execute("ROLLBACK")
    other.close()
    await client.close()
    assert raised.value.error_class is ErrorClass.TRANSIENT_DEFINITE
    assert rows(path) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"minutes": "NA"}, "minutes: 'NA' is no number"),
        ({"minutes": [1]}, "minutes: a list cannot be stored"),
        ({"note": {"a": 1}}, "note: an object cannot be stored"),
        ({"colour": "red"}, "colour: the table has no such column"),
        ({"flight": None}, "flight: match needs a value"),
        ({'x"; DROP TABLE late; --': 1}, "is no name of a column"),
    ],
)
async def test_a_value_that_does_not_fit_is_a_data_error_that_names_the_field(
    client: Sql, path: Path, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(StepError, match=told) as raised:
        await perform(client, UPSERT, {**ROW, **change})
    assert raised.value.error_class is ErrorClass.DATA
    assert raised.value.facts["field"] == next(iter(change))
    assert rows(path) == []


async def test_numbers_as_texts_fit_and_values_are_never_statements(
    client: Sql, path: Path
) -> None:
    evil = "'); DROP TABLE late; --"
    await perform(client, UPSERT, {"flight": evil, "at": "1", "minutes": " 12.5 "})
    assert rows(path) == [(evil, "1", 12.5)]


async def test_no_such_table_is_permanent_and_seen_once_it_exists(client: Sql, path: Path) -> None:
    config = UPSERT.replace("table: late", "table: later")
    with pytest.raises(StepError, match="there is no table later") as raised:
        await perform(client, config, ROW)
    assert raised.value.error_class is ErrorClass.PERMANENT
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE later (flight TEXT, at TEXT, minutes INTEGER)")
    await perform(client, config, ROW)
    assert len(rows(path, "SELECT * FROM later")) == 1


async def test_a_constraint_of_the_table_is_a_data_error(client: Sql, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE strictly (flight TEXT, n INTEGER CHECK (n > 0))")
    config = "{type: sql.upsert, connection: w, table: strictly, match: [flight]}"
    with pytest.raises(StepError, match="CHECK constraint") as raised:
        await perform(client, config, {"flight": "A", "n": -1})
    assert raised.value.error_class is ErrorClass.DATA


async def test_a_query_gives_rows_as_documents(client: Sql, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO late VALUES ('A', '1', 9007199254740993, x'00ff')")
        database.execute("INSERT INTO late VALUES ('B', '2', NULL, 'x')")
    query = """
        type: sql.query
        connection: w
        statement: "SELECT flight, minutes, note FROM late WHERE flight >= :least ORDER BY flight"
        parameters: {least: least}
    """
    first = {"flight": "A", "minutes": "9007199254740993", "note": b"\x00\xff"}
    second = {"flight": "B", "minutes": None, "note": "x"}
    assert (await perform(client, query, {"least": "A"})).values == (first, second)
    whole = query.rstrip() + "\n        rows: all"
    assert (await perform(client, whole, {"least": "A"})).values == ([first, second],)
    one = query.rstrip() + "\n        rows: one"
    assert (await perform(client, one, {"least": "B"})).values == (second,)
    with pytest.raises(StepError, match="must be one, there are 2"):
        await perform(client, one, {"least": "A"})


@pytest.mark.parametrize(
    "statement", ["DELETE FROM late", "INSERT INTO late (flight) VALUES ('x')", "DROP TABLE late"]
)
async def test_a_query_cannot_write(client: Sql, path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO late VALUES ('A', '1', 1, NULL)")
    query = f'{{type: sql.query, connection: w, statement: "{statement}"}}'
    with pytest.raises(StepError) as raised:
        await perform(client, query, {})
    assert raised.value.error_class is ErrorClass.PERMANENT
    assert len(rows(path)) == 1
    await perform(client, UPSERT, ROW)


async def test_a_colon_inside_a_text_or_a_comment_names_no_parameter(client: Sql) -> None:
    statement = """SELECT 'at :noon' AS a, ':x :''y' AS "b :z", :n AS n /* :why */ -- :how"""
    config = f"""
        type: sql.query
        connection: w
        statement: |
          {statement}
        parameters: {{n: n}}
    """
    reply = await perform(client, config, {"n": 1})
    assert reply.values == ({"a": "at :noon", "b :z": ":x :'y", "n": 1},)


async def test_a_query_over_rows_max_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO late (flight) VALUES (?)", [("x",)] * 4)
    client = a_client("sql", f'{{url: "sqlite:///{path}", rows_max: 3}}')
    await client.open()
    with pytest.raises(StepError, match="rows_max") as raised:
        await perform(
            client, '{type: sql.query, connection: w, statement: "SELECT * FROM late"}', {}
        )
    await client.close()
    assert raised.value.error_class is ErrorClass.LIMIT


async def test_a_statement_runs_once_with_its_key(client: Sql, path: Path) -> None:
    config = """
        type: sql.execute
        connection: w
        statement: "INSERT INTO late (flight, minutes) VALUES (:flight, :minutes)"
        parameters: {flight: flight, minutes: minutes}
    """
    once = config.rstrip() + "\n        exactly_once: true"
    assert a_step(config).effect is Effect.ONCE
    assert a_step(once).effect is Effect.IDEMPOTENT
    for _ in range(2):
        await perform(client, once, ROW, key="e1/count/0")
    assert len(rows(path)) == 1
    with pytest.raises(StepError, match=r"parameters\.minutes: yields nothing"):
        await perform(client, once, {"flight": "A"})
