"""The course of a run: what is broken is healed, whatever ends the run and whenever."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from molecule.chaos import healing, run
from molecule.chaos.asking import Site, Work
from molecule.chaos.faults import Kind, NotConfirmed, NotHealed
from molecule.chaos.foreign import Hooked
from molecule.chaos.healing import Sheet
from molecule.chaos.history import Recording
from molecule.chaos.hooks import Hook, Hooks
from molecule.chaos.means import Means
from molecule.chaos.records import (
    FaultConfirmed,
    FaultEnded,
    FaultUnconfirmed,
    Header,
    Record,
    Trouble,
)
from molecule.chaos.run import Order, Run

NAMES = ("n1", "n2", "n3")
NODES = [{"id": name, "up": True, "incarnation": 1} for name in NAMES]
LAW = dict.fromkeys(("accepted", "completed", "failed", "cancelled", "active", "parked"), 0)
STATUS = {
    "leader": "n1",
    "voters": NAMES,
    "conservation": LAW,
    "may_lose_voters": 1,
    "nodes": NODES,
}
HOOK = Hook(("true", "{node}"), ("true", "{node}"))


def answering(*, accepts: bool = True) -> Callable[[httpx2.Request], httpx2.Response]:
    """A cluster in which all is well."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and not accepts:
            return httpx2.Response(404, json={"code": "not_found", "definite": True})
        if request.method == "POST":
            key = request.headers["idempotency-key"]
            return httpx2.Response(202, json={"execution": f"e-{key}", "state": "PENDING"})
        if request.url.path.endswith("/cluster"):
            return httpx2.Response(200, json=STATUS)
        if "/executions/" in request.url.path:
            return httpx2.Response(200, json={"state": "COMPLETED", "reason": ""})
        return httpx2.Response(200, json={"items": []})

    return answer


class Stage:
    """A run that is played on a cluster in memory; its faults do what a test says."""

    def __init__(self, folder: Path, *, accepts: bool = True) -> None:
        self.path = healing.place(str(folder / "context.json"))
        self.recording = Recording(io.StringIO())
        self.recording.add(
            Header,
            seed=1,
            software="0.1",
            cluster="staging",
            nodes=NAMES,
            voters=NAMES,
            process="p",
            environment="e",
            minutes=1,
            faults=("kill",),
        )
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answering(accepts=accepts)))
        self._site = Site(("https://a",), http)

    async def play(self) -> None:
        with Sheet(self.path) as sheet:
            played = Run(
                Order(1, 0.000_1, (Kind.KILL,), Work("p", "e"), ended_within_s=1),
                site=self._site,
                local=None,
                means=Means(frozenset(), Hooks({"kill": HOOK})),
                recording=self.recording,
                sheet=sheet,
                say=lambda _: None,
            )
            await played.play(NAMES)

    def told(self, kind: type[Record]) -> list[Record]:
        return [record for record in self.recording.records if isinstance(record, kind)]


class Ends:
    """What the victim's fault does instead of running hooks; counts how often it was ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.begun = asyncio.Event()
        self.ending = asyncio.Event()
        self.is_slow_once = False
        self.waits = False
        self.error: Exception | None = None
        self.doubt: Exception | None = None
        monkeypatch.setattr(Hooked, "begin", self._begin)
        monkeypatch.setattr(Hooked, "confirm", self._confirm)
        monkeypatch.setattr(Hooked, "end", self._end)

    async def _begin(self) -> None:
        self.begun.set()

    async def _confirm(self) -> dict[str, Any]:
        if self.waits:
            await asyncio.Event().wait()
        if self.doubt is not None:
            raise self.doubt
        return {"n1": "down"}

    async def _end(self) -> None:
        self.count += 1
        self.ending.set()
        if self.is_slow_once and self.count == 1:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_BASE_S", 0.02)
    monkeypatch.setattr(run, "_CALM_S", 0)
    monkeypatch.setattr(run, "_LOOK_S", 0.01)
    monkeypatch.setattr(run, "_BETWEEN_S", (0, 0))


async def stopped(stage: Stage, at: asyncio.Event) -> None:
    """Play until then, and stop the run as a signal does."""
    async with asyncio.timeout(30):
        playing = asyncio.ensure_future(stage.play())
        await at.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing


async def test_each_fault_is_confirmed_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path), Ends(monkeypatch)

    await stage.play()

    assert (len(stage.told(FaultConfirmed)), ends.count) == (1, 1)
    assert not stage.path.exists()


async def test_a_fault_without_effect_is_told_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path), Ends(monkeypatch)
    ends.doubt = NotConfirmed("nobody noticed")

    await stage.play()

    assert (len(stage.told(FaultUnconfirmed)), ends.count) == (1, 1)


async def test_a_run_that_is_stopped_within_a_fault_heals_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path), Ends(monkeypatch)
    ends.waits = True

    await stopped(stage, ends.begun)

    assert ends.count == 1
    assert not stage.path.exists()


async def test_a_run_that_is_stopped_while_it_heals_heals_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path), Ends(monkeypatch)
    ends.is_slow_once = True

    await stopped(stage, ends.ending)

    assert ends.count == 2
    assert len(stage.told(FaultEnded)) == 1
    assert not stage.path.exists()


async def test_what_is_not_healed_is_told_and_stays_on_the_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path), Ends(monkeypatch)
    ends.error = NotHealed("exit code 1")

    await stage.play()

    assert [record.model_dump()["healed"] for record in stage.told(FaultEnded)] == [False]
    assert stage.path.exists()


async def test_nothing_is_broken_where_nothing_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, ends = Stage(tmp_path, accepts=False), Ends(monkeypatch)

    await stage.play()

    assert ends.count == 0
    assert "not_found" in stage.told(Trouble)[0].model_dump()["what"]
