"""What people ask of the cluster's members at the door of one node."""

import hashlib

import pytest

from molecule.access.policy import Actor, ActorKind
from molecule.model.errors import (
    Conflict,
    InvalidInput,
    NoLeader,
    NotFound,
    OutcomeUnknown,
    Unauthenticated,
)
from molecule.model.ids import NodeId
from molecule.node import cluster_actions
from molecule.rpc import certificates
from molecule.wire.v1 import commands_pb2 as c
from tests.adapters.node.doors import Doors


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
