"""The airline desk does what it is told as often as it is told, and remembers it."""

import json
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from molecule.demo import target
from molecule.demo.target import Ledger

LATE = {"flight": "UA1545", "at": "2013-01-01T10:00:00Z"}


async def test_the_desk_counts_every_call_even_under_one_key(tmp_path: Path) -> None:
    file = tmp_path / "desk.jsonl"
    async with TestClient(TestServer(target.application(Ledger(file), delay_s=0))) as client:
        for _ in range(2):
            answer = await client.post("/late", json=LATE, headers={"Idempotency-Key": "k"})
            assert answer.status == 201
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == [{"kind": "told", "key": "k", **LATE}] * 2


async def test_the_desk_tells_what_it_knows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "desk.jsonl")
    async with TestClient(TestServer(target.application(ledger, delay_s=0))) as client:
        unknown = await client.get("/late/UA1545/2013-01-01T10:00:00Z")
        await client.post("/late", json=LATE)
        known = await client.get("/late/UA1545/2013-01-01T10%3A00%3A00Z")
    assert (unknown.status, known.status) == (404, 200)
