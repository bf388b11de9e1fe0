"""Keeping data on a node with a real store: what is purged, what is told, what is refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from molecule.access.policy import ADMIN, Actor, ActorKind
from molecule.cluster.outcome import Outcome
from molecule.config import Headroom, Retention
from molecule.model.disk import DiskReport
from molecule.model.errors import Forbidden, InvalidInput, Purged, StorageFull
from molecule.model.ids import NodeId
from molecule.model.retention import RetentionClass
from molecule.node.purges import Purges
from molecule.node.reads import Reads
from molecule.node.retention_door import RetentionDoor
from molecule.node.room import Room
from molecule.node.rows import snapshot
from molecule.node.sweeper import Sweeper
from molecule.storage.reserve import Reserve
from molecule.wire.v1 import commands_pb2 as c
from tests.adapters.node.one_node import WITHIN_S, OneNode
from tests.fakes.triggers import untold

HOUR_MS = 3_600_000


class Keeper:
    """The parts of `Keeping` around one node, each step by hand."""

    def __init__(self, node: OneNode, folder: Path) -> None:
        self.node = node
        self.refused: list[tuple[str, str]] = []
        self.alarms = 0
        self.purged: list[tuple[str, int]] = []
        self.heard = (0, "")
        self.settings = Retention()
        self.room = Room(
            node="n1",
            reserve=Reserve(folder, Headroom(reserve_bytes_min=65_536, reserve_percent=0)),
            settings=Headroom(),
            heard=lambda: self.heard,
            on_refused=lambda reason, door: self.refused.append((reason, door)),
            on_alarm=self._alarmed,
        )
        self.purges = Purges(
            state=lambda: node.state,
            store=node.store,
            propose=self._propose,
            now_ms=lambda: node.at_ms,
            settings=self.settings,
            limits=node.limits,
        )
        self.sweeper = Sweeper(
            state=lambda: node.state,
            store=node.store,
            is_scarce=lambda: False,
            on_full=lambda: None,
            on_purged=lambda name, count: self.purged.append((name, count)),
            limits=node.limits,
        )
        self.disks: dict[NodeId, DiskReport] = {}
        self.door = RetentionDoor(
            state=lambda: node.state,
            store=node.store,
            purges=self.purges,
            room=self.room,
            disks=lambda: self.disks,
            settings=self.settings,
        )
        self.reads = Reads(
            config=node.config,
            state=lambda: node.state,
            store=node.store,
            payloads=node.payloads,
            leader=lambda: "n1",
            members=lambda: {"voters": ["n1"], "learners": []},
            triggers=untold(),
        )

    def _alarmed(self) -> None:
        self.alarms += 1

    async def _propose(self, commands: Sequence[c.Command]) -> Sequence[Outcome]:
        return (await self.node.forwarder.insist(commands, within_s=WITHIN_S)).outcomes

    async def flush(self) -> None:
        machine = self.node.replica._machine  # a flush by hand
        self.node.store.stage(snapshot(machine.take_dirty()))
        await self.node.store.flush()

    async def complete(self, name: str) -> None:
        token = await self.node.start(name)
        payload = c.Payload(inline=b"[]")
        await self.node.say(
            end_attempt=c.EndAttempt(execution=name, token=token, state="COMPLETED", result=payload)
        )
        await self.flush()

    async def sweep(self) -> None:
        await self.flush()
        await self.sweeper.sweep()


@pytest.fixture
def keeper(node: OneNode, tmp_path: Path) -> Keeper:
    return Keeper(node, tmp_path)


async def test_a_purge_that_was_asked_for_removes_rows_of_its_class(keeper: Keeper) -> None:
    await keeper.complete("e1")
    keeper.node.at_ms += 10
    await keeper.node.submit("e2")
    asked = {"classes": ["completed_documents"], "older_than_ms": 0}
    told = await keeper.door.purge(ADMIN, asked)
    assert told["classes"][0]["executions"] == 1
    await keeper.sweep()
    assert keeper.purged == [("completed_documents", 1)]
    assert await keeper.node.store.payload("e1", "result") is None
    assert await keeper.node.store.payload("e2", "input") is not None
    assert (await keeper.reads.read("execution", "e1", {}))["state"] == "COMPLETED"


async def test_a_plan_counts_and_changes_nothing(keeper: Keeper) -> None:
    await keeper.complete("e1")
    keeper.node.at_ms += 10
    await keeper.node.submit("e2")
    told = await keeper.door.purge(ADMIN, {"older_than_ms": 0, "plan": True})
    assert {item["class"]: item["executions"] for item in told["classes"]} == {
        "completed_documents": 1,
        "failed_documents": 0,
        "timelines": 1,
        "history": 1,
    }
    assert set(keeper.node.state.horizons.values()) == {0}


async def test_a_class_that_nobody_knows_is_refused_by_name(keeper: Keeper) -> None:
    with pytest.raises(InvalidInput, match="no retention class everything"):
        await keeper.door.purge(ADMIN, {"classes": ["everything"]})


async def test_a_trigger_may_not_purge(keeper: Keeper) -> None:
    with pytest.raises(Forbidden):
        await keeper.door.purge(Actor(ActorKind.TRIGGER, "t"), {})


async def test_a_purged_timeline_says_that_it_was_purged(keeper: Keeper) -> None:
    await keeper.complete("e1")
    keeper.node.at_ms += 10
    await keeper.node.submit("e2")
    await keeper.door.purge(ADMIN, {"classes": ["timelines"], "older_than_ms": 0})
    await keeper.sweep()
    with pytest.raises(Purged):
        await keeper.reads.read("timeline", "e1", {})


async def test_a_purged_execution_says_that_it_was_purged(keeper: Keeper) -> None:
    # An id that holds a time before the horizon.
    name = "e" + "0" * 20
    await keeper.complete(name)
    keeper.node.at_ms += 10
    await keeper.node.submit("e2")
    await keeper.door.purge(ADMIN, {"older_than_ms": 0})
    await keeper.sweep()
    with pytest.raises(Purged):
        await keeper.reads.read("execution", name, {})


async def test_the_leader_purges_by_age_alone(keeper: Keeper) -> None:
    await keeper.complete("e1")
    keeper.node.at_ms += keeper.settings.completed_documents_ms + HOUR_MS
    await keeper.node.submit("e2")
    due = await keeper.purges.due(keeper.room.admission().level)
    assert set(due) == {RetentionClass.COMPLETED_DOCUMENTS}


async def test_show_tells_classes_and_disks(keeper: Keeper) -> None:
    await keeper.complete("e1")
    await keeper.room.measure(let_go=False)
    told = await keeper.door.show()
    rows = {item["class"]: item["rows"] for item in told["classes"]}
    assert rows["history"] == 1
    assert rows["completed_documents"] == 2
    assert told["disks"][0]["node"] == "n1"
    assert 0 < told["disks"][0]["available_bytes"] <= told["disks"][0]["total_bytes"]


async def test_show_does_not_list_the_disk_of_a_node_that_left(keeper: Keeper) -> None:
    await keeper.room.measure(let_go=False)
    disk = keeper.room.disk
    assert disk is not None
    keeper.disks = {NodeId("n1"): disk, NodeId("n9"): disk}
    assert [each["node"] for each in (await keeper.door.show())["disks"]] == ["n1"]


@pytest.mark.parametrize(
    ("level", "brings_documents", "limit"),
    [
        (2, True, "documents_refused_percent"),
        (3, True, "submissions_refused_percent"),
        (3, False, "submissions_refused_percent"),
    ],
)
async def test_the_door_refuses_by_the_fullest_voter(
    keeper: Keeper, level: int, brings_documents: bool, limit: str
) -> None:
    keeper.heard = (level, "n3")
    with pytest.raises(StorageFull) as refused:
        keeper.room.check(brings_documents=brings_documents, door="token")
    assert refused.value.facts == {"limit": limit, "node": "n3"}
    assert keeper.refused == [(limit, "token")]


@pytest.mark.parametrize(("level", "brings_documents"), [(0, True), (1, True), (2, False)])
async def test_the_door_lets_in_what_there_is_room_for(
    keeper: Keeper, level: int, brings_documents: bool
) -> None:
    keeper.heard = (level, "n3")
    keeper.room.check(brings_documents=brings_documents, door="token")


async def test_each_level_that_is_reached_is_alarmed_once(keeper: Keeper) -> None:
    alarms = []
    for level in (0, 1, 1, 2, 1, 0, 3):
        keeper.heard = (level, "n3")
        await keeper.room.measure(let_go=False)
        alarms.append(keeper.alarms)
    assert alarms == [0, 1, 1, 2, 2, 2, 3]


async def test_the_log_tells_which_level_was_reached(keeper: Keeper) -> None:
    with capture_logs() as logs:
        for level in (2, 0):
            keeper.heard = (level, "n3")
            await keeper.room.measure(let_go=False)
    # Every line of the log has the field `level`: how grave it is.
    assert logs == [
        {
            "event": "disk_level",
            "log_level": grave,
            "now": now,
            "before": before,
            "node": node,
        }
        for grave, now, before, node in (
            ("warning", "no_documents", "roomy", "n3"),
            ("info", "roomy", "no_documents", "n1"),
        )
    ]


async def test_the_first_heartbeat_tells_the_disk(keeper: Keeper) -> None:
    beat = keeper.room.beat()
    assert beat is not None
    assert 0 < beat.available_bytes <= beat.total_bytes
