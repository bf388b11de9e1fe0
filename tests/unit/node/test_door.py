"""The door of the node process: what is said of submissions that may have been accepted."""

import contextlib
from typing import Any

import pytest

from molecule.access.policy import Actor, ActorKind
from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import MoleculeError, NotFound, OutcomeUnknown, Overloaded, Unavailable
from molecule.node.clock import wall_ms
from molecule.node.door import DoorService
from molecule.node.submit import Accepted
from molecule.wire.v1 import door_pb2 as d


class Parts:
    """What the door asks, as far as these tests need it: it accepts everything as `e1`."""

    def __init__(self) -> None:
        self.refusals: list[MoleculeError] = []
        self.reading: MoleculeError | None = None
        self.said: list[str] = []
        self.state = ClusterState()

    def actor(self, _bearer: str) -> Actor:
        return Actor(ActorKind.TOKEN, "admin")

    async def submit(self, *_request: Any, within_s: float) -> tuple[list[Accepted], int]:
        self.said.append("submit")
        if self.refusals:
            raise self.refusals.pop(0)
        return [Accepted("e1")], 1

    async def read_behind(self) -> None:
        self.said.append("read_behind")

    async def until_applied(self, _index: int) -> None:
        self.said.append("until_applied")

    async def read(self, *_what: Any) -> dict[str, Any]:
        if self.reading is not None:
            raise self.reading
        return {"state": "ASSIGNED"}

    def waiter(
        self, _execution: str, *, or_answered: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        raise Overloaded("waiters_max")

    def time_remaining(self) -> float:
        return 30.0


def a_door(parts: Parts, *, age_s: float | None = 0.0) -> DoorService:
    anything: Any = parts
    return DoorService(
        identifier=anything,
        submit=anything,
        deploy=anything,
        actions=anything,
        nodes=anything,
        process_actions=anything,
        tables=anything,
        signals=anything,
        members=anything,
        reads=anything,
        replica=anything,
        store=anything,
        payloads=anything,
        health=dict,
        metrics=bytes,
        read_behind=parts.read_behind,
        until_applied=parts.until_applied,
        limits=Limits(),
        age_s=lambda: age_s,
    )


async def submitted(parts: Parts) -> d.SubmitReply:
    return await a_door(parts).submit(d.SubmitRequest(process="echo", wait_ms=1000), 30.0)


async def test_a_process_deployed_elsewhere_a_moment_ago_is_found_after_catching_up() -> None:
    parts = Parts()
    parts.refusals = [NotFound("no process echo")]
    reply = await submitted(parts)
    assert reply.results[0].execution == "e1"
    assert parts.said[:3] == ["submit", "read_behind", "submit"]


async def test_what_was_accepted_is_told_although_nobody_may_wait_any_more() -> None:
    reply = await submitted(Parts())
    assert (reply.results[0].execution, reply.results[0].state) == ("e1", "ASSIGNED")


async def test_a_failure_after_acceptance_is_never_definite() -> None:
    parts = Parts()
    parts.reading = Unavailable("its result lies on a voter that is down")
    with pytest.raises(OutcomeUnknown):
        await submitted(parts)


async def test_a_read_tells_how_old_the_copy_is_and_a_fresh_one_is_not() -> None:
    door = a_door(Parts(), age_s=1.25)
    asked = d.ReadRequest(resource="execution", id="e1")
    assert (await door.Read(asked, None)).age_ms == 1250
    asked.fresh = True
    assert (await door.Read(asked, None)).age_ms == 0


async def test_without_any_leader_a_read_is_as_old_as_the_newest_entry() -> None:
    parts = Parts()
    parts.state.time_ms = wall_ms() - 60_000
    reply = await a_door(parts, age_s=None).Read(d.ReadRequest(resource="execution"), None)
    assert reply.age_ms >= 60_000
