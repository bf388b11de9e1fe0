"""The gateway's door on a real state: to callers there is one cluster, whichever node answers."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from molecule.access.policy import Actor, ActorKind
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    MoleculeError,
    NoLeader,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
)
from molecule.model.ids import NodeId
from molecule.node import cluster_actions
from molecule.node.actions import Actions
from molecule.node.addresses import Addresses
from molecule.node.cluster_actions import ClusterActions
from molecule.node.deploy import DeployDoor
from molecule.node.door import DoorService
from molecule.node.holders import Holders
from molecule.node.identify import Identifier
from molecule.node.node_actions import NodeActions
from molecule.node.process_actions import ProcessActions
from molecule.node.reads import Reads
from molecule.node.signals import Signals
from molecule.node.submit import SubmitDoor
from molecule.node.table_actions import TableActions
from molecule.rpc import certificates
from molecule.rpc.certificates import KeyPair
from molecule.rpc.documents import MissingDocuments
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import peer_pb2 as p
from tests.adapters.node.one_node import ENVIRONMENT, OneNode, one_node

TOKEN = "mol_test"
ADMIN = d.Credentials(bearer=TOKEN)


class Call:
    """A call without a deadline."""

    def time_remaining(self) -> float | None:
        return None


def holders(node: OneNode) -> Holders:
    """The only voter, which has every document."""

    async def nothing_is_missing(index: int) -> tuple[int, list[str]]:
        return index, []

    async def nobody(_voter: str, _index: int) -> MissingDocuments:
        raise NoLeader("there is no other voter")

    return Holders(
        me="n1",
        voters=lambda: ["n1"],
        missing_at=nobody,
        missing_here=nothing_is_missing,
        referenced=lambda: (node.state.index, len(node.state.documents)),
    )


class Doors:
    """The door of a node whose copy is `behind` until somebody catches up."""

    leader = "n2"

    def __init__(self, node: OneNode) -> None:
        self.node = node
        self.behind: list[str] = []
        self.caught_up = 0
        self.changes: list[p.ChangeRequest] = []
        self.cut_off = False
        self.change_fails: list[MoleculeError] = []
        """What changes of members fail with, in order; the last one for ever."""
        limits = node.limits
        self.door = DoorService(
            identifier=Identifier(hashlib.sha256(TOKEN.encode()).hexdigest()),
            submit=SubmitDoor(
                node="n1",
                state=lambda: node.state,
                forwarder=node.forwarder,
                payloads=node.payloads,
                ask_worker=node.ask_worker,
                limits=limits,
            ),
            deploy=DeployDoor(
                forwarder=node.forwarder,
                payloads=node.payloads,
                ask_worker=node.ask_worker,
                state=lambda: node.state,
                limits=limits,
            ),
            actions=Actions(forwarder=node.forwarder, state=lambda: node.state, limits=limits),
            nodes=NodeActions(
                forwarder=node.forwarder,
                state=lambda: node.state,
                holders=holders(node),
                limits=limits,
            ),
            tables=TableActions(forwarder=node.forwarder, state=lambda: node.state, limits=limits),
            process_actions=ProcessActions(
                forwarder=node.forwarder, state=lambda: node.state, limits=limits
            ),
            signals=Signals(forwarder=node.forwarder, payloads=node.payloads, limits=limits),
            members=self._members(node),
            reads=Reads(
                config=node.config,
                state=lambda: node.state,
                store=node.store,
                payloads=node.payloads,
                leader=lambda: "n1",
                members=lambda: {"voters": ["n1"], "learners": []},
            ),
            replica=node.replica,
            store=node.store,
            payloads=node.payloads,
            health=lambda: {"ready": True},
            metrics=lambda: b"molecule_build_info 1\n",
            read_behind=self._catch_up,
            until_applied=self._until_applied,
            limits=limits,
        )

    def _members(self, node: OneNode) -> ClusterActions:
        return ClusterActions(
            config=node.config,
            forwarder=node.forwarder,
            state=lambda: node.state,
            addresses=Addresses(node.config),
            holders=holders(node),
            change=self._change,
            leader=lambda: self.leader,
        )

    def with_authority(self, ca: KeyPair) -> None:
        """Give the node the certificate of an authority, without its key."""
        folder = Path(self.node.config.data)
        (folder / "ca.pem").write_bytes(ca.certificate_pem)

    async def act(self, action: str, name: str, **fields: object) -> Any:
        request = d.ActRequest(credentials=ADMIN, action=action, id=name, json=orjson.dumps(fields))
        return orjson.loads((await self.door.Act(request, Call())).json)

    async def _catch_up(self) -> None:
        if self.cut_off:
            raise NoLeader("no majority confirmed the read in time")
        self.caught_up += 1
        behind, self.behind = self.behind, []
        for name in behind:
            await self.node.submit(name)

    async def _change(self, request: p.ChangeRequest) -> int:
        self.changes.append(request)
        if self.change_fails:
            raise self.change_fails.pop(0) if self.change_fails[1:] else self.change_fails[0]
        return 1

    async def _until_applied(self, _index: int) -> None:
        return

    async def read(
        self, resource: str, name: str = "", *, bearer: str = TOKEN, **query: str
    ) -> Any:
        request = d.ReadRequest(
            credentials=d.Credentials(bearer=bearer), resource=resource, id=name, query=query
        )
        return orjson.loads((await self.door.Read(request, Call())).json)


@pytest_asyncio.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with one_node(tmp_path) as node:
        yield Doors(node)


async def test_what_another_node_accepted_a_moment_ago_is_found(doors: Doors) -> None:
    doors.behind.append("e1")
    assert (await doors.read("execution", "e1"))["state"] == "PENDING"


async def test_what_nobody_accepted_is_not_found_behind_everything_committed(doors: Doors) -> None:
    with pytest.raises(NotFound, match="e9"):
        await doors.read("execution", "e9")
    assert doors.caught_up == 1


async def test_what_is_here_is_read_without_asking_the_leader(doors: Doors) -> None:
    await doors.node.submit("e1")
    await doors.read("execution", "e1")
    assert doors.caught_up == 0


async def test_reading_needs_the_token_and_health_does_not(doors: Doors) -> None:
    assert (await doors.read("health", bearer=""))["ready"] is True
    for bearer in ("", "wrong"):
        with pytest.raises(Unauthenticated):
            await doors.read("cluster", bearer=bearer)


async def test_waiting_gives_the_result_of_an_execution_that_has_ended(doors: Doors) -> None:
    token = await doors.node.start("e1")
    await doors.node.say(
        end_attempt=c.EndAttempt(
            execution="e1", token=token, state="COMPLETED", result=c.Payload(inline=b'["done"]')
        )
    )
    asked = d.AwaitRequest(credentials=ADMIN, executions=["e1"], wait_ms=1000)
    (result,) = (await doors.door.Await(asked, Call())).results
    assert (result.state, result.result) == ("COMPLETED", b'["done"]')


async def test_cancelling_answers_with_the_execution_as_it_is_now(doors: Doors) -> None:
    await doors.node.submit("e1")
    asked = d.ActRequest(
        credentials=ADMIN, action="cancel", id="e1", json=b'{"reason": "not needed"}'
    )
    answer = orjson.loads((await doors.door.Act(asked, Call())).json)
    assert answer["state"] == "CANCELLED"


async def test_draining_a_node_tells_what_it_still_holds(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.start("e1")
    told = await doors.act("drain", "n1", timeout_ms=5_000)
    assert (told["draining"], told["drained"], told["held"]) == (True, False, 1)
    assert told["drain_actor"] == "token:admin"
    told = await doors.act("undrain", "n1")
    assert (told["draining"], told["drain_actor"]) == (False, "")


async def test_drain_without_another_node_is_refused_and_the_plan_says_so(doors: Doors) -> None:
    with pytest.raises(Conflict, match="no other node takes work"):
        await doors.act("drain", "n1")
    plan = await doors.act("plan_drain", "n1")
    assert plan["refused"]
    assert "no other node takes work" in plan["refusals"][0]


async def test_plan_of_a_drain_changes_nothing(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.start("e1")
    plan = await doors.act("plan_drain", "n1")
    assert (plan["moves"], plan["refused"], plan["draining"]) == ({"n2": 1}, False, False)
    assert (await doors.read("node", "n1"))["draining"] is False


@pytest.mark.parametrize("action", ["drain", "undrain", "plan_drain"])
async def test_a_node_that_nobody_knows_is_not_drained(doors: Doors, action: str) -> None:
    with pytest.raises(NotFound, match="n9"):
        await doors.act(action, "n9")


async def test_a_lost_node_is_not_drained(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=4))
    await doors.node.say(report_node_death=c.ReportNodeDeath(node="n2", life="1"))
    with pytest.raises(Conflict, match="is lost"):
        await doors.act("drain", "n2")


def acts(action: str, process: str, **fields: str) -> d.ActRequest:
    return d.ActRequest(credentials=ADMIN, action=action, id=process, json=orjson.dumps(fields))


async def test_pausing_and_resuming_answer_with_the_process_as_it_is_now(doors: Doors) -> None:
    paused = await doors.door.Act(acts("pause", "orders", reason="a fault there"), Call())
    (told,) = orjson.loads(paused.json)["deployments"]
    assert (told["paused"], told["pause_reason"]) == (True, "a fault there")

    resumed = await doors.door.Act(acts("resume", "orders"), Call())
    assert orjson.loads(resumed.json)["deployments"][0]["paused"] is False


async def test_what_only_waits_is_told_without_an_error(doors: Doors) -> None:
    await doors.door.Act(acts("pause", "orders", reason="a fault there"), Call())
    request = d.SubmitRequest(
        credentials=ADMIN,
        process="orders",
        environment=ENVIRONMENT,
        submissions=[d.Submission(idempotency_key="k1", input=b"[1]")],
    )
    (told,) = (await doors.door.submit(request, 60.0)).results
    assert (told.state, told.error, told.error_code) == ("PENDING", "", "")


@pytest.mark.parametrize(
    ("action", "name"),
    [("cancel", "e1"), ("release", "e1"), ("fail", "e1"), ("resolve", "e1"), ("pause", "orders")],
)
async def test_every_action_refuses_a_reason_over_the_limit(
    doors: Doors, action: str, name: str
) -> None:
    await doors.node.submit("e1")
    index = doors.node.state.index
    with pytest.raises(LimitExceeded) as refused:
        await doors.act(action, name, reason="x" * (doors.node.limits.reason_length_max + 1))
    assert refused.value.facts["limit"] == "reason_length_max"
    assert doors.node.state.index == index


async def test_a_row_that_was_written_and_cannot_be_shown_is_not_refused(doors: Doors) -> None:
    doors.cut_off = True
    with pytest.raises(OutcomeUnknown, match="done, but"):
        await doors.act("table_put", f"{ENVIRONMENT}/prices/a", value=1)
    (table,) = doors.node.state.key_tables.values()
    assert list(table.rows) == ["a"]


async def test_pausing_what_is_not_deployed_names_it(doors: Doors) -> None:
    with pytest.raises(NotFound, match="nothing"):
        await doors.door.Act(acts("pause", "nothing"), Call())


async def test_a_key_is_settled_once_and_only_when_it_is_held(doors: Doors) -> None:
    await doors.node.deploy("ledger", keyed=True, on_dead_letter="hold_key")
    token = await doors.node.start("e1", process="ledger", concurrency_key="N14228")
    await doors.node.say(
        end_attempt=c.EndAttempt(
            execution="e1",
            token=token,
            state="COMPLETED",
            dead_letters=[c.DeadLetter(document="d")],
        )
    )
    told = await doors.read("process", "ledger")
    assert [held["concurrency_key"] for held in told["held_keys"]] == ["N14228"]

    settled = await doors.door.Act(acts("settle_key", "ledger", concurrency_key="N14228"), Call())
    assert orjson.loads(settled.json)["held_keys"] == []
    with pytest.raises(NotFound, match="held for dead letters"):
        await doors.door.Act(acts("settle_key", "ledger", concurrency_key="N14228"), Call())


async def test_a_token_is_shown_once_and_only_its_digest_is_kept(doors: Doors) -> None:
    ca = certificates.create_authority(doors.node.config.cluster)
    doors.with_authority(ca)
    told = await doors.act("token", "", lifetime_ms=60_000)
    kind, cluster, fingerprint, secret = told["token"].split("_", 3)
    assert (kind, cluster) == ("mjt", doors.node.config.cluster)
    assert fingerprint == certificates.fingerprint(ca.certificate_pem)
    assert list(doors.node.state.join_tokens) == [hashlib.sha256(secret.encode()).hexdigest()]


async def test_a_node_without_the_authoritys_key_says_who_has_it(doors: Doors) -> None:
    doors.with_authority(certificates.create_authority(doors.node.config.cluster))
    await doors.node.say(
        register_node=c.RegisterNode(
            node="n2", life="1", slots=1, signs=True, http_address="10.0.0.2:7443"
        )
    )
    fields = {"cluster": doors.node.config.cluster, "node": "n4", "role": "voter"}
    with pytest.raises(Conflict, match=r"ask n2 at https://10\.0\.0\.2:7443"):
        await doors.act("join", "", **fields)


async def test_a_stranger_without_a_token_brings_nothing_into_the_log(doors: Doors) -> None:
    doors.door._members._config = doors.node.config.model_copy(update={"ca_key": "ca.key"})
    index = doors.node.state.index
    fields = {
        "cluster": doors.node.config.cluster,
        "secret": "guessed",
        "node": "n9",
        "role": "voter",
        "addresses": [],
        "node_request": "-",
        "gateway_request": "-",
    }
    with pytest.raises(Unauthenticated):
        await doors.act("join", "", **fields)
    assert (doors.node.state.index, doors.caught_up) == (index, 1)


async def test_a_newcomer_of_another_cluster_is_refused(doors: Doors) -> None:
    with pytest.raises(InvalidInput, match="'other'"):
        await doors.act("join", "", cluster="other")


async def test_a_node_that_holds_work_does_not_leave(doors: Doors) -> None:
    await doors.node.start("e1")
    with pytest.raises(Conflict, match="drain it first"):
        await doors.act("leave", "n1")
    assert doors.changes == []


@pytest.mark.parametrize(
    ("dead", "ended", "reason"),
    [(True, False, "is up"), (False, True, "is lost")],
)
async def test_whether_a_node_that_leaves_is_dead_must_be_said_rightly(
    doors: Doors,
    dead: bool,
    ended: bool,
    reason: str,
) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=1))
    if ended:
        await doors.node.say(report_node_death=c.ReportNodeDeath(node="n2", life="1"))
    with pytest.raises(Conflict, match=reason):
        await doors.act("leave", "n2", dead=dead)


async def test_a_dead_worker_node_leaves_without_a_change_of_voters(doors: Doors) -> None:
    await doors.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=1))
    await doors.node.say(report_node_death=c.ReportNodeDeath(node="n2", life="1"))
    assert await doors.act("leave", "n2", dead=True) == {"node": "n2", "left": True}
    assert (doors.changes, "n2" in doors.node.state.nodes) == ([], False)


async def test_one_that_was_let_in_and_never_came_is_told_to_stay_away(doors: Doors) -> None:
    made = c.CreateJoinToken(digest="d", role="voter", lifetime_ms=1_000)
    await doors.node.say(create_join_token=made)
    await doors.node.say(admit_node=c.AdmitNode(digest="d", node="n7", role="voter", request="r"))
    assert await doors.act("leave", "n7") == {"node": "n7", "left": True}
    assert doors.node.state.admissions[NodeId("n7")].gone


async def test_leadership_moves_only_to_a_voter(doors: Doors) -> None:
    with pytest.raises(NotFound, match="voters are n1"):
        await doors.act("transfer", "", to="n7")
    await doors.act("transfer", "", to="n1")
    assert [change.transfer for change in doors.changes] == ["n1"]


async def test_leadership_is_not_moved_to_who_leads_already(doors: Doors) -> None:
    doors.leader = "n1"
    answer = await doors.act("transfer", "", to="n1")
    assert answer == {"asked": False, "to": "n1", "leads_already": True}
    assert doors.changes == []


async def test_a_change_of_members_that_may_be_done_is_not_called_refused(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_actions, "_PAUSE_S", 0.001)
    doors.change_fails = [OutcomeUnknown("the link broke"), NoLeader("none")]
    members, admin = doors.door._members, Actor(ActorKind.TOKEN, "admin")
    with pytest.raises(OutcomeUnknown, match="the last refusal: none"):
        await members.transfer(admin, "n1", within_s=0.2)
    assert len(doors.changes) > 1
