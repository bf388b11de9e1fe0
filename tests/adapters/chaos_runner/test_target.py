"""The recording target: what it applies, what it writes down, what its moods do."""

import random
from collections.abc import AsyncIterator

import httpx2
import pytest

from chaos.records import EffectSeen
from chaos.runner.recording import Recording
from chaos.runner.target import Mood, Target


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target(Recording(), random.Random(1))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http(target: Target) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=target.url, trust_env=False) as client:
        yield client


def effects(target: Target) -> list[EffectSeen]:
    return [record for record in target.recording.records if isinstance(record, EffectSeen)]


@pytest.mark.parametrize(("kind", "applied"), [("keyed", [True, False]), ("plain", [True, True])])
async def test_a_repeat_is_applied_where_no_key_is_taken(
    target: Target, http: httpx2.AsyncClient, kind: str, applied: list[bool]
) -> None:
    for _ in range(2):
        answer = await http.post(f"/{kind}/pay/x", headers={"Idempotency-Key": "e1/pay/0"})
        assert answer.status_code == 201

    assert [effect.applied for effect in effects(target)] == applied
    assert {(one.origin, one.step, one.effect_key) for one in effects(target)} == {
        ("e1", "pay", "e1/pay/0")
    }


async def test_a_call_that_fails_had_no_effect(target: Target, http: httpx2.AsyncClient) -> None:
    target.mood = Mood(fails=1.0)

    assert (await http.post("/plain/pay/x")).status_code == 503
    assert (await http.get("/plain/pay/x")).status_code == 404
    assert (effects(target), target.hits) == ([], 1)


async def test_an_answer_that_is_lost_had_its_effect(
    target: Target, http: httpx2.AsyncClient
) -> None:
    target.mood = Mood(loses_answer=1.0)

    with pytest.raises(httpx2.RemoteProtocolError):
        await http.post("/plain/pay/x")
    assert (await http.get("/plain/pay/x")).status_code == 200
    assert (len(effects(target)), target.hits) == (1, 1)
