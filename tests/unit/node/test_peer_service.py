"""What other nodes may ask: nothing, once they have left the cluster."""

from typing import Any

import pytest

from molecule.config import Limits
from molecule.model.errors import Forbidden, Overloaded
from molecule.node.peers import Answers, PeerService, RunVolatile, SayMore, check_speaker
from molecule.rpc import identity
from molecule.rpc.identity import Identity
from molecule.wire.v1 import commands_pb2 as c
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


async def _volatile(_asked: p.VolatileRequest, _more: SayMore) -> w.VolatileSaid:
    return w.VolatileSaid()


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
        answers=Answers(
            members=p.MembersReply, package=_package, group=_group, gate=_gate, volatile=_volatile
        ),
        limits=Limits(),
    )


@pytest.fixture(autouse=True)
def caller() -> None:
    identity.set_caller(Identity("local", identity.NODE, "n4"))


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("propose", p.ProposeRequest()),
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


@pytest.mark.parametrize(
    "command",
    [
        c.Command(claim_leadership=c.ClaimLeadership(node="n4")),
        c.Command(expire_node=c.ExpireNode(node="n1")),
        c.Command(assign_execution=c.AssignExecution(execution="e1")),
        c.Command(release_execution=c.ReleaseExecution(execution="e1")),
        c.Command(fail_execution=c.FailExecution(execution="e1")),
        c.Command(end_hold=c.EndHold(execution="e1")),
        c.Command(assign_trigger=c.AssignTrigger(process="orders")),
        c.Command(register_node=c.RegisterNode(node="n1")),
        c.Command(report_node_death=c.ReportNodeDeath(node="n1")),
        c.Command(report_worker_death=c.ReportWorkerDeath(node="n1")),
        c.Command(drain_node=c.DrainNode(node="n1", life="1")),
    ],
    ids=lambda command: str(command.WhichOneof("kind")),
)
async def test_a_node_says_neither_a_leaders_word_nor_one_of_another_node(
    command: c.Command,
) -> None:
    parts = Parts()
    request = p.ProposeRequest(groups=[p.CommandGroup(commands=[command])])
    with pytest.raises(Forbidden):
        await service(parts, gone=False).propose(request)
    assert parts.reached == []


def test_every_command_that_carries_an_epoch_is_a_leaders_or_asked_for_by_people() -> None:
    carrying = {
        kind.name
        for kind in c.Command.DESCRIPTOR.oneofs_by_name["kind"].fields
        if kind.message_type is not None and "epoch" in kind.message_type.fields_by_name
    }
    refused = set()
    for kind in carrying:
        command = c.Command()
        getattr(command, kind).SetInParent()
        try:
            check_speaker("n4", command)
        except Forbidden:
            refused.add(kind)
    assert carrying - refused == {"purge_ended"}


class Stream:
    """What the service wrote to its caller."""

    def __init__(self) -> None:
        self.written: list[w.VolatileSaid] = []

    async def write(self, said: w.VolatileSaid) -> None:
        self.written.append(said)


def running(run: RunVolatile) -> PeerService:
    unused: Any = None
    answers = Answers(
        members=p.MembersReply, package=_package, group=_group, gate=_gate, volatile=run
    )
    return PeerService(
        proposer=unused,
        leader=unused,
        membership=unused,
        is_gone=lambda _node: False,
        barrier=_barrier,
        answers=answers,
        limits=Limits(),
    )


async def test_what_is_told_of_a_volatile_execution_before_its_end_is_sent_first() -> None:
    async def run(asked: p.VolatileRequest, more: SayMore) -> w.VolatileSaid:
        assert asked.at_once
        more(w.VolatileSaid(answer=c.HttpAnswer(status=202)))
        return w.VolatileSaid(state="COMPLETED")

    stream = Stream()
    await running(run).Volatile(p.VolatileRequest(at_once=True), stream)
    assert [said.state for said in stream.written] == ["", "COMPLETED"]
    assert stream.written[0].answer.status == 202


async def test_a_volatile_execution_that_did_not_begin_is_refused_as_it_was() -> None:
    async def run(_asked: p.VolatileRequest, _more: SayMore) -> w.VolatileSaid:
        raise Overloaded("volatile_executions_max")

    with pytest.raises(Overloaded, match="volatile_executions_max"):
        await running(run).Volatile(p.VolatileRequest(), Stream())
