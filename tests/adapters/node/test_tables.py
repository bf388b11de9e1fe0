"""Rows of key tables by the door: a real state, store and forwarder, one voter."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from molecule.model.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
)
from molecule.node.proposer import GroupResult
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from tests.adapters.node.doors import Call, Doors
from tests.adapters.node.one_node import one_node


@pytest_asyncio.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with one_node(tmp_path) as node:
        yield Doors(node)


async def put(doors: Doors, key: str, value: Any, **fields: Any) -> Any:
    return await doors.act("table_put", f"test/orders/{key}", value=value, **fields)


async def test_a_row_is_written_read_and_taken_out(doors: Doors) -> None:
    row = await put(doors, "a/1", {"b": 1, "a": [2]}, unique={"ref": "X9"})
    assert (row["key"], row["value"], row["unique"]) == (
        "a/1",
        {"a": [2], "b": 1},
        {"ref": "X9"},
    )
    assert await doors.read("row", "test/orders/a/1") == row
    (table,) = (await doors.read("tables"))["items"]
    assert table == {"environment": "test", "table": "orders", "rows": 1, "unique": ["ref"]}

    assert await doors.act("table_delete", "test/orders/a/1") == row
    with pytest.raises(NotFound, match="no table orders"):
        await doors.read("row", "test/orders/a/1")
    with pytest.raises(NotFound, match="no table orders"):
        await doors.act("table_delete", "test/orders/a/1")


async def test_rows_come_page_by_page_in_the_order_of_their_keys(doors: Doors) -> None:
    for key in ("c", "a", "b"):
        await put(doors, key, key)
    first = await doors.read("rows", "test/orders", limit="2")
    assert ([row["key"] for row in first["items"]], first["next"]) == (["a", "b"], "b")
    rest = await doors.read("rows", "test/orders", limit="2", cursor=first["next"])
    assert ([row["key"] for row in rest["items"]], rest["next"]) == (["c"], None)


async def test_conditions_are_held_and_say_what_is_there(doors: Doors) -> None:
    await put(doors, "1", {"n": 1}, **{"if": "absent"})
    with pytest.raises(Conflict, match="there is a row"):
        await put(doors, "1", {"n": 2}, **{"if": "absent"})
    with pytest.raises(Conflict, match="there is no row"):
        await put(doors, "2", {"n": 2}, **{"if": "present"})
    await put(doors, "1", {"n": 2}, **{"if": "equals", "equals": {"n": 1}})
    with pytest.raises(Conflict):
        await put(doors, "1", {"n": 3}, **{"if": "equals", "equals": {"n": 1}})
    assert (await doors.read("row", "test/orders/1"))["value"] == {"n": 2}


@pytest.mark.parametrize("action", ["table_put", "table_delete"])
async def test_a_change_that_may_have_happened_is_not_made_again(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    # Found by runs with faults: the repeat took back what had been written meanwhile.
    await put(doors, "1", "before")
    doors.node.forwarder.leader_changed()
    proposer = doors.node.proposer
    propose, answers_lost = proposer.propose, 1

    async def once_without_answer(commands: list[c.Command]) -> GroupResult:
        nonlocal answers_lost
        result = await propose(commands)
        if answers_lost:
            answers_lost -= 1
            await put(doors, "1", "by somebody else")
            raise OutcomeUnknown("the link broke")
        return result

    monkeypatch.setattr(proposer, "propose", once_without_answer)
    with pytest.raises(OutcomeUnknown):
        await doors.act(action, "test/orders/1", value="mine")

    assert (await doors.read("row", "test/orders/1"))["value"] == "by somebody else"


async def test_a_unique_key_belongs_to_one_row(doors: Doors) -> None:
    await put(doors, "1", 1, unique={"ref": "X"})
    with pytest.raises(Conflict, match="ref belongs to another row"):
        await put(doors, "2", 2, unique={"ref": "X"})


async def test_what_is_too_large_names_its_limit(doors: Doors) -> None:
    allowed = doors.node.limits.table_row_bytes_max
    with pytest.raises(LimitExceeded, match="table_row_bytes_max"):
        await put(doors, "1", "x" * allowed)


async def test_places_that_are_none_are_named(doors: Doors) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        await doors.act("table_put", "nowhere/orders/1", value=1)
    with pytest.raises(InvalidInput, match="key"):
        await doors.act("table_put", "test/orders/", value=1)


async def test_rows_are_changed_with_a_token_only(doors: Doors) -> None:
    request = d.ActRequest(action="table_delete", id="test/orders/1")
    with pytest.raises(Unauthenticated):
        await doors.door.Act(request, Call())
