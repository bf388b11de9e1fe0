"""`table.*`, `dedup` and `cache.*`: what they say, make of the answer, and refuse."""

import asyncio
from typing import Any

import pytest

from molecule.component.contract import CallContext, KeyAnswer, Reply, TableChange
from molecule.config import Limits
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StepError
from molecule.model.ids import EffectKey
from molecule.worker.caches import Caches
from tests.components.calls import a_context, a_document, a_step


class Keys:
    """A cluster that gives one answer."""

    def __init__(self, answer: str, value: str = "") -> None:
        self.answer = KeyAnswer(answer, value)
        self.asked: list[Any] = []

    async def table(self, change: TableChange, *, effect_key: EffectKey) -> KeyAnswer:
        self.asked.append((change, effect_key))
        return self.answer

    async def claim(self, scope: str, key: str, **rest: Any) -> KeyAnswer:
        self.asked.append((scope, key, rest))
        return self.answer


def perform(config: str, client: Any, value: Any) -> Reply:
    step = a_step(config).component
    call = CallContext(EffectKey("e/s/d"), 1.0, 1.0, lambda: None)
    request = step.prepare(a_document(value), a_context())
    reply: Reply = asyncio.run(step.perform(client, request, call))
    return reply


def refused(config: str, client: Any, value: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        perform(config, client, value)
    return caught.value


def test_get_gives_the_value_or_says_that_there_is_no_row() -> None:
    get = "{type: table.get, table: t, key: id}"
    assert perform(get, Keys("done", '{"a":1}'), {"id": "x"}).values == ({"a": 1},)
    error = refused(get, Keys("missing"), {"id": "x"})
    assert error.error_class is ErrorClass.DATA
    assert "'x' is not in table t" in error.message
    null = "{type: table.get, table: t, key: id, missing: 'null'}"
    assert perform(null, Keys("missing"), {"id": "x"}).values == (None,)


def test_put_says_all_of_the_change() -> None:
    keys = Keys("done")
    config = (
        "{type: table.put, table: t, key: id, value: {b: 1, a: '${id}'}, unique: {mail: mail},"
        " if: equals, equals: {z: 1, y: 2}}"
    )
    assert perform(config, keys, {"id": 7, "mail": "m"}).values == ()
    change = TableChange(
        table="t",
        key="7",
        action="put",
        value='{"a":7,"b":1}',
        unique={"mail": "m"},
        condition="equals",
        expected='{"y":2,"z":1}',
    )
    assert keys.asked == [(change, "e/s/d")]


@pytest.mark.parametrize("type_", ["put", "delete"])
def test_a_condition_that_does_not_hold_is_an_error_of_the_document(type_: str) -> None:
    config = f"{{type: table.{type_}, table: t, key: id, if: present}}"
    error = refused(config, Keys("conflict", "there is no row"), {"id": "x"})
    assert (error.error_class, error.error_code) == (ErrorClass.DATA, "table_conflict")
    assert error.message == f"{type_} x of t: there is no row"


def test_a_unique_key_of_another_row_is_an_error_of_the_document() -> None:
    config = "{type: table.put, table: t, key: id}"
    assert refused(config, Keys("taken"), {"id": "x"}).error_code == "table_taken"


@pytest.mark.parametrize("wrong", ["if: equals", "equals: 1", "if: absent, equals: 1"])
@pytest.mark.parametrize("type_", ["put", "delete"])
def test_equals_and_its_value_belong_together(type_: str, wrong: str) -> None:
    with pytest.raises(AssertionError, match=r"equals|if"):
        a_step(f"{{type: table.{type_}, table: t, key: id, {wrong}}}")


def test_bytes_are_no_value_of_a_row() -> None:
    error = refused("{type: table.put, table: t, key: \"'k'\"}", Keys("done"), b"raw")
    assert "cannot be stored as JSON" in error.message


def test_a_duplicate_ends_or_tells_whose_it_is() -> None:
    drop, tell = "{type: dedup, key: id}", "{type: dedup, key: id, duplicate: tell}"
    found = perform(drop, Keys("duplicate", "e1"), {"id": "x"})
    assert found.ends
    assert found.detail == "claim x: duplicate of e1"
    assert not perform(drop, Keys("claimed"), {"id": "x"}).ends
    told = perform(tell, Keys("duplicate", "e1"), {"id": "x"})
    assert (told.ends, told.values) == (False, ({"duplicate": True, "execution": "e1"},))


def test_dedup_says_scope_window_and_whether_to_wait() -> None:
    keys = Keys("claimed")
    config = "{type: dedup, key: id, scope: s, window: 5s, under_way: fail}"
    perform(config, keys, {"id": "x"})
    assert keys.asked == [("s", "x", {"window_ms": 5_000, "wait": True, "effect_key": "e/s/d"})]


def test_writes_are_idempotent_and_reads_and_caches_are_pure() -> None:
    effects = {
        "{type: table.get, table: t, key: id}": Effect.PURE,
        "{type: table.put, table: t, key: id}": Effect.IDEMPOTENT,
        "{type: table.delete, table: t, key: id}": Effect.IDEMPOTENT,
        "{type: dedup, key: id}": Effect.IDEMPOTENT,
        "{type: cache.get, cache: c, key: id}": Effect.PURE,
        "{type: cache.put, cache: c, key: id}": Effect.PURE,
        "{type: cache.remove, cache: c, key: id}": Effect.PURE,
    }
    for config, effect in effects.items():
        assert a_step(config).effect is effect


PUT = "{type: cache.put, cache: c, key: id, for: 1s}"
GET = "{type: cache.get, cache: c, key: id}"
REMOVE = "{type: cache.remove, cache: c, key: id}"


def test_a_cache_remembers_for_a_while_and_for_one_environment() -> None:
    now = [0.0]
    caches = Caches(Limits(), lambda: now[0])
    test, prod = caches.of("test"), caches.of("prod")
    given = {"id": "x", "list": [1]}
    perform(PUT, test, given)
    given["list"].append(2)  # type: ignore[attr-defined]  # it is a list
    assert perform(GET, test, {"id": "x"}).values == ({"id": "x", "list": [1]},)
    assert perform(GET, prod, {"id": "x"}).values == (None,)
    now[0] = 1.0
    assert perform(GET, test, {"id": "x"}).values == (None,)
    perform(PUT, test, {"id": "x"})
    perform(REMOVE, test, {"id": "x"})
    perform(REMOVE, test, {"id": "x"})
    assert perform(GET, test, {"id": "x"}).values == (None,)


def test_a_cache_forgets_the_least_used_when_it_is_full() -> None:
    cache = Caches(Limits(cache_entries_max=2, cache_bytes_max=100)).of("test")
    for key in ("a", "b"):
        cache.put("c", key, key, for_ms=1_000)
    cache.get("c", "a")
    cache.put("c", "d", "d", for_ms=1_000)
    assert [cache.get("c", key)[0] for key in ("a", "b", "d")] == [True, False, True]
    cache.put("c", "large", "x" * 101, for_ms=1_000)
    assert not cache.get("c", "large")[0]
    cache.put("c", "medium", "x" * 96, for_ms=1_000)
    assert [cache.get("c", key)[0] for key in ("a", "d", "medium")] == [False, False, True]
