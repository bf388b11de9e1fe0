"""The service between nodes and its client. Thin: it identifies the peer, hands on and translates.

A node speaks only for itself: what names a node in a message must be the node of the certificate.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from molecule.config import Limits
from molecule.model.errors import (
    Forbidden,
    InvalidInput,
    MoleculeError,
    NoLeader,
    OutcomeUnknown,
    Unavailable,
)
from molecule.node import wire
from molecule.node.addresses import Addresses
from molecule.node.forwarder import Commands
from molecule.node.leader import Leader
from molecule.node.membership import Membership
from molecule.node.proposer import GroupResult, Proposer
from molecule.rpc import errors, identity, proposals
from molecule.rpc.channel import PeerChannels
from molecule.rpc.proposals import ProposalStreams
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import peer_pb2_grpc
from molecule.wire.v1 import worker_pb2 as w

_ONLY_BY_LEADER = frozenset(
    {
        "claim_leadership",
        "expire_node",
        "assign_execution",
        "release_execution",
        "fail_execution",
        "end_hold",
        "assign_trigger",
    }
)
"""Commands that a leader makes for itself: from a peer they are refused, whatever their epoch."""


SayMore = Callable[[w.VolatileSaid], None]
RunVolatile = Callable[[p.VolatileRequest, SayMore], Awaitable[w.VolatileSaid]]
"""Runs one here; what is said before its end is told beside."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What nodes without a copy of the state may ask of this one."""

    members: Callable[[], p.MembersReply]
    package: Callable[[str, str], Awaitable[bytes]]
    group: Callable[[str], Awaitable[w.GroupState]]
    gate: Callable[[w.GateAsk], Awaitable[p.GateReply]]
    volatile: RunVolatile


class PeerService(peer_pb2_grpc.PeerServicer):
    """What other nodes may ask of this one."""

    def __init__(
        self,
        *,
        proposer: Proposer,
        leader: Leader,
        membership: Membership,
        is_gone: Callable[[str], bool],
        barrier: Callable[[], Awaitable[int]],
        answers: Answers,
        limits: Limits,
    ) -> None:
        self._answers = answers
        self._limits = limits
        self._proposer = proposer
        self._leader = leader
        self._membership = membership
        self._is_gone = is_gone
        self._barrier = barrier

    def _caller(self) -> str:
        """The node that calls; `Forbidden` for one that left the cluster."""
        node = identity.caller().name
        if self._is_gone(node):
            raise Forbidden(f"{node} was removed from the cluster; it may join again with a token")
        return node

    async def Proposals(  # type: ignore[override]  # noqa: N802  # as for a session
        self, request_iterator: AsyncIterator[p.ProposeCallBatch], context: Any
    ) -> None:
        """What another node's forwarder says, for as long as it speaks to this one."""

        async def write(answers: Sequence[p.ProposeAnswer]) -> None:
            await context.write(p.ProposeAnswerBatch(answers=answers))

        await proposals.serve(
            request_iterator, write, self.propose, peer=self._caller(), limits=self._limits
        )

    async def propose(self, request: p.ProposeRequest, _left_s: float = 0.0) -> p.ProposeReply:
        """Groups from another node's forwarder, together into the next entry."""
        node = self._caller()
        for group in request.groups:
            for command in group.commands:
                check_speaker(node, command)
        results = await self._proposer.propose_all([list(g.commands) for g in request.groups])
        return p.ProposeReply(groups=[wire.result_to_wire(result) for result in results])

    async def Session(  # type: ignore[override]  # noqa: N802  # the library takes a coroutine that writes, too
        self, request_iterator: AsyncIterator[p.FromAgent], context: Any
    ) -> None:
        """An agent's session with the leader; refused elsewhere."""

        async def write(messages: Sequence[p.ToAgent]) -> None:
            await context.write(p.ToAgentBatch(messages=messages))

        await self._leader.serve(self._caller(), request_iterator, write)

    async def ReportDeath(self, request: c.ReportNodeDeath, _context: Any) -> p.ReportDeathReply:  # noqa: N802
        """A node's supervisor tells the end of a life of that same node. `NoLeader` elsewhere.

        It is not forwarded: the leader must see by the certificate that the node speaks of itself.
        """
        if request.node != identity.caller().name:
            raise Forbidden(f"{identity.caller().name} cannot report the end of {request.node}")
        command = c.Command(version=1, report_node_death=request)
        result = await self._proposer.propose([command])
        return p.ReportDeathReply(applied=wire.outcome_to_wire(result.outcomes[0]).applied)

    async def Members(  # noqa: N802
        self, _request: p.MembersRequest, _context: Any
    ) -> p.MembersReply:
        """Who leads and who votes, as far as this node knows."""
        self._caller()
        return self._answers.members()

    async def Package(self, request: p.PackageRequest, _context: Any) -> p.PackageReply:  # noqa: N802
        """A package of a version, or the settings of an environment."""
        self._caller()
        return p.PackageReply(content=await self._answers.package(request.owner, request.slot))

    async def Group(self, request: p.GroupRequest, _context: Any) -> p.GroupReply:  # noqa: N802
        """How far a group is, behind everything committed before the call."""
        self._caller()
        return p.GroupReply(group=await self._answers.group(request.group))

    async def Gate(self, request: w.GateAsk, _context: Any) -> p.GateReply:  # noqa: N802
        """Whether a connection takes a call of what runs at the caller."""
        self._caller()
        return await self._answers.gate(request)

    async def Triggers(  # noqa: N802
        self, _request: p.TriggersRequest, _context: Any
    ) -> p.TriggersReply:
        """How triggers fare, as their nodes told this leader."""
        self._caller()
        return self._leader.triggers()

    async def Join(self, request: p.JoinRequest, _context: Any) -> p.ChangeReply:  # noqa: N802
        """A newcomer wants to receive the log."""
        node = self._caller()
        index = await self._membership.admit(node, birth=request.birth, address=request.address)
        return p.ChangeReply(index=index)

    async def Change(self, request: p.ChangeRequest, _context: Any) -> p.ChangeReply:  # noqa: N802
        """What a person asked the caller for."""
        self._caller()
        return p.ChangeReply(index=await change_members(self._membership, request))

    async def Volatile(  # type: ignore[override]  # noqa: N802  # as for `Session`
        self, request: p.VolatileRequest, context: Any
    ) -> None:
        """A volatile execution of the caller's, run here and now."""
        self._caller()
        said: asyncio.Queue[w.VolatileSaid | MoleculeError | None] = asyncio.Queue()

        async def run() -> None:
            try:
                said.put_nowait(await self._answers.volatile(request, said.put_nowait))
            except MoleculeError as error:
                said.put_nowait(error)
            said.put_nowait(None)

        refused: MoleculeError | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(run())
            while (told := await said.get()) is not None:
                if isinstance(told, MoleculeError):
                    refused = told
                else:
                    await context.write(told)
        if refused is not None:
            raise refused

    async def ReadIndex(self, _request: p.ReadIndexRequest, _context: Any) -> p.ReadIndexReply:  # noqa: N802
        """An index that includes everything committed before the call."""
        return p.ReadIndexReply(index=await self._barrier())


async def change_members(membership: Membership, request: p.ChangeRequest) -> int:
    """Carry out a change on the leader; the index of the configuration then."""
    match request.WhichOneof("kind"):
        case "remove":
            return await membership.remove(request.remove)
        case "transfer":
            return membership.transfer(request.transfer)
        case _:
            raise InvalidInput("a change of members of a kind that this version does not know")


def check_speaker(node: str, command: c.Command) -> None:
    """Refuse a command that `node` may not say: a leader's, or one in another node's name."""
    kind = command.WhichOneof("kind")
    if kind is None:
        raise InvalidInput(f"{node} sent a command of a kind that this version does not know")
    if kind in _ONLY_BY_LEADER:
        raise Forbidden(f"{kind} is the leader's to say, not {node}'s")
    named = getattr(getattr(command, kind), "node", node)
    is_own = kind in ("register_node", "report_node_death", "report_worker_death")
    # Drained for the end of a life, a node can only be by itself; people drain it by its name.
    if (is_own or command.drain_node.life) and named != node:
        raise Forbidden(f"{node} cannot say {kind} of {named}")


class PeerClients:
    """Calls to other nodes by id."""

    def __init__(self, addresses: Addresses, channels: PeerChannels, limits: Limits) -> None:
        self._addresses = addresses
        self._channels = channels
        self._limits = limits
        self._proposals = ProposalStreams(self._stub, limits)

    def _stub(self, node: str) -> Any:
        address = self._addresses.of(node)
        if address is None:
            raise NoLeader(f"no address of node {node} is known")
        return peer_pb2_grpc.PeerStub(self._channels.to(node, address))

    async def run(self) -> None:
        """Carry proposals until cancelled."""
        await self._proposals.run()

    async def propose(self, node: str, groups: Sequence[Commands]) -> list[GroupResult]:
        """Commit groups at the leader `node`."""
        request = p.ProposeRequest(groups=[p.CommandGroup(commands=group) for group in groups])
        reply = await self._proposals.propose(node, request)
        return [wire.result_from_wire(group) for group in reply.groups]

    async def members(self, node: str) -> p.MembersReply:
        """Who leads and who votes, as `node` knows it."""
        within_s = self._limits.read_index_ms_max / 1000
        with errors.translated():
            found: p.MembersReply = await self._stub(node).Members(
                p.MembersRequest(), timeout=within_s
            )
        return found

    async def package(self, node: str, owner: str, slot: str) -> bytes:
        """A package or settings from a voter's store."""
        request = p.PackageRequest(owner=owner, slot=slot)
        within_s = self._limits.document_get_ms_max / 1000
        with errors.translated():
            reply = await self._stub(node).Package(request, timeout=within_s)
        return bytes(reply.content)

    async def group(self, node: str, name: str) -> w.GroupState:
        """How far a group is, as the voter `node` sees it behind everything committed."""
        within_s = self._limits.read_index_ms_max / 1000
        with errors.translated():
            reply = await self._stub(node).Group(p.GroupRequest(group=name), timeout=within_s)
        found: w.GroupState = reply.group
        return found

    async def gate(self, node: str, asked: w.GateAsk) -> p.GateReply:
        """Whether a connection takes a call now, as the voter `node` knows it."""
        within_s = self._limits.gate_wait_ms_max / 1000
        with errors.translated():
            found: p.GateReply = await self._stub(node).Gate(asked, timeout=within_s)
        return found

    async def triggers(self, node: str) -> p.TriggersReply:
        """How triggers fare, as the leader `node` was told."""
        within_s = self._limits.read_index_ms_max / 1000
        with errors.translated():
            found: p.TriggersReply = await self._stub(node).Triggers(
                p.TriggersRequest(), timeout=within_s
            )
        return found

    async def volatile(
        self, node: str, request: p.VolatileRequest, say_more: SayMore, *, within_s: float
    ) -> w.VolatileSaid:
        """Have `node` run it. A definite error: it did not begin."""
        last: w.VolatileSaid | None = None
        with errors.translated():
            async for said in self._stub(node).Volatile(request, timeout=within_s):
                if said.HasField("answer"):
                    say_more(said)
                else:
                    last = said
        if last is None:
            raise OutcomeUnknown(f"{node} ended the call before it said what came of it")
        return last

    async def join(self, node: str, *, birth: str, address: str) -> int:
        """Ask the leader `node` to let this newcomer receive the log."""
        request = p.JoinRequest(birth=birth, address=address)
        within_s = self._limits.change_members_ms_max / 1000
        with errors.translated():
            reply = await self._stub(node).Join(request, timeout=within_s)
        return int(reply.index)

    async def change(self, node: str, request: p.ChangeRequest) -> int:
        """Ask the leader `node` for a change of members."""
        within_s = self._limits.change_members_ms_max / 1000
        with errors.translated():
            reply = await self._stub(node).Change(request, timeout=within_s)
        return int(reply.index)

    async def read_index(self, node: str) -> int:
        """The leader's confirmed commit index."""
        # A majority round takes milliseconds; one that takes longer has no leader behind it.
        within_s = self._limits.read_index_ms_max / 1000
        with errors.translated():
            reply = await self._stub(node).ReadIndex(p.ReadIndexRequest(), timeout=within_s)
        return int(reply.index)

    def session(self, node: str) -> "RemoteSession":
        """A session with the leader `node`, opened by its first message."""
        return RemoteSession(self._stub(node).Session())


class RemoteSession:
    """The agent's end of a session over the network."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def send(self, message: p.FromAgent) -> None:
        """Raises an error of the tree when the session is broken."""
        with errors.translated():
            try:
                await self._call.write(message)
            except asyncio.InvalidStateError as ended:
                # The stream ended between two heartbeats; only reading tells how.
                raise Unavailable("the session has ended") from ended

    async def incoming(self) -> AsyncIterator[p.ToAgent]:
        """What the leader says, until the session breaks."""
        with errors.translated():
            async for batch in self._call:
                for message in batch.messages:
                    yield message
        raise Unavailable("the leader ended the session")

    async def carry(self) -> None:
        """The library carries the stream by itself; reading tells its end."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """End the stream."""
        self._call.cancel()
