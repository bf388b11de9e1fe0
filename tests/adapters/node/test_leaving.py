"""A voter that leaves or is emptied, as the door judges it by what the others hold."""

from dataclasses import dataclass, field

import pytest

from molecule.access.policy import Actor, ActorKind
from molecule.model.errors import Conflict, Unavailable
from molecule.model.ids import NodeId
from molecule.node.addresses import Addresses
from molecule.node.cluster_actions import ClusterActions
from molecule.node.holders import Holders
from molecule.node.node_actions import NodeActions
from molecule.raft.configuration import Configuration, Member
from molecule.rpc.documents import MissingDocuments
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from tests.adapters.node.one_node import OneNode

ADMIN = Actor(ActorKind.TOKEN, "admin")


@dataclass
class Cluster:
    """n1 is asked, n2 shall go, n3 lacks what is told here; None: it is silent."""

    node: OneNode
    lacks: frozenset[str] | None
    changes: list[p.ChangeRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holders = Holders(
            me="n1",
            voters=lambda: ("n1", "n2", "n3"),
            missing_at=self._missing_at,
            missing_here=self._missing_here,
            referenced=lambda: (self.node.state.index, 2),
        )

    async def leave(self) -> object:
        await self.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=1))
        await self.node.say(report_node_death=c.ReportNodeDeath(node="n2", life="1"))
        addresses = Addresses(self.node.config)
        members = tuple(Member(f"n{number}", f"a:{number}", "b") for number in (1, 2, 3))
        addresses.follow(Configuration(members))
        actions = ClusterActions(
            config=self.node.config,
            forwarder=self.node.forwarder,
            state=lambda: self.node.state,
            addresses=addresses,
            holders=self.holders,
            change=self._change,
            leader=lambda: "n1",
        )
        return await actions.leave(ADMIN, "n2", {"dead": True}, within_s=5)

    async def drain(self) -> None:
        await self.node.say(register_node=c.RegisterNode(node="n2", life="1", slots=1))
        node = self.node
        actions = NodeActions(
            forwarder=node.forwarder,
            state=lambda: node.state,
            holders=self.holders,
            limits=node.limits,
        )
        await actions.drain(ADMIN, "n2", {}, within_s=5)

    async def _missing_at(self, node: str, index: int) -> MissingDocuments:
        if node != "n3" or self.lacks is None:
            raise Unavailable(f"{node} does not answer")
        return MissingDocuments(len(self.lacks), self.lacks, index)

    async def _missing_here(self, index: int) -> tuple[int, list[str]]:
        return index, []

    async def _change(self, request: p.ChangeRequest) -> int:
        self.changes.append(request)
        return 1


LACKS = pytest.mark.parametrize(
    ("lacks", "endangered"),
    [(frozenset({"d1"}), 1), (None, 2)],
    ids=["the other one lacks a document", "the other one is silent"],
)


@LACKS
async def test_a_voter_without_which_a_document_had_no_majority_does_not_leave(
    node: OneNode, lacks: frozenset[str] | None, endangered: int
) -> None:
    cluster = Cluster(node, lacks)
    with pytest.raises(Conflict, match=f"{endangered} documents would be held by less") as refused:
        await cluster.leave()
    assert refused.value.facts["documents"] == endangered
    assert cluster.changes == [], "nobody was asked to take it out"
    assert "n2" in node.state.nodes


@LACKS
async def test_a_voter_without_which_a_document_had_no_majority_is_not_drained(
    node: OneNode, lacks: frozenset[str] | None, endangered: int
) -> None:
    with pytest.raises(Conflict, match=f"{endangered} documents would be held by less"):
        await Cluster(node, lacks).drain()
    assert not node.state.nodes[NodeId("n2")].is_draining


async def test_a_voter_is_drained_when_the_others_have_every_document(node: OneNode) -> None:
    await Cluster(node, frozenset()).drain()
    assert node.state.nodes[NodeId("n2")].is_draining


async def test_a_dead_voter_leaves_when_the_others_have_every_document(node: OneNode) -> None:
    cluster = Cluster(node, frozenset())
    assert await cluster.leave() == {"node": "n2", "left": True}
    assert [change.remove for change in cluster.changes] == ["n2"]
    assert "n2" not in node.state.nodes
