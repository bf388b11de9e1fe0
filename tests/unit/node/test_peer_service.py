"""What other nodes may ask: nothing, once they have left the cluster."""

from typing import Any

import pytest

from molecule.model.errors import Forbidden
from molecule.node.peers import Answers, PeerService
from molecule.rpc import identity
from molecule.rpc.identity import Identity
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w


class Parts:
    """Stands for the parts that a refused call must not reach."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def admit(self, node: str, *, birth: str, address: str) -> int:
        self.reached.append(f"{node} {birth} {address}")
        return 9


async def _package(_owner: str, _slot: str) -> bytes:
    return b"package"


async def _gate(_asked: w.GateAsk) -> p.GateReply:
    return p.GateReply()


async def _group(_name: str) -> w.GroupState:
    return w.GroupState(known=False)


async def _barrier() -> int:
    return 1


def service(parts: Any, *, gone: bool) -> PeerService:
    return PeerService(
        proposer=parts,
        leader=parts,
        membership=parts,
        is_gone=lambda _node: gone,
        barrier=_barrier,
        answers=Answers(members=p.MembersReply, package=_package, group=_group, gate=_gate),
    )


@pytest.fixture(autouse=True)
def caller() -> None:
    identity.set_caller(Identity("local", identity.NODE, "n4"))


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Propose", p.ProposeRequest()),
        ("Join", p.JoinRequest()),
        ("Change", p.ChangeRequest(transfer="n1")),
        ("Members", p.MembersRequest()),
        ("Package", p.PackageRequest()),
        ("Group", p.GroupRequest()),
    ],
)
async def test_a_node_that_left_is_refused_whatever_it_asks(method: str, request_: Any) -> None:
    parts = Parts()
    with pytest.raises(Forbidden, match="n4 was removed"):
        await getattr(service(parts, gone=True), method)(request_, None)
    assert parts.reached == []


async def test_a_newcomer_is_admitted_under_the_name_of_its_certificate() -> None:
    parts = Parts()
    reply = await service(parts, gone=False).Join(p.JoinRequest(birth="b", address="a:4"), None)
    assert (reply.index, parts.reached) == (9, ["n4 b a:4"])
