"""What a simulated node process is made of: the product's parts, wired as its runtime wires them.

Where the product has gRPC, aiosqlite and a supervisor, there are `calls.py`, `replicated.py` and
`machine.py`. No decision is made here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from molecule.access.policy import ADMIN
from molecule.cluster.outcome import Outcome
from molecule.config import Limits, Timing
from molecule.model.errors import NoLeader
from molecule.model.ids import ExecutionId
from molecule.node import wire
from molecule.node.actions import Actions
from molecule.node.agent import Agent, LeaderSession
from molecule.node.agent_rounds import AgentRounds
from molecule.node.clock import ClusterClock, wall_ms
from molecule.node.desk import AskedState, Desk
from molecule.node.forwarder import Commands, Forwarder
from molecule.node.gates import Gates
from molecule.node.leader import Leader
from molecule.node.live_documents import LiveDocuments
from molecule.node.local_session import LocalSession
from molecule.node.packages import Packages, StoredPackages
from molecule.node.payloads import Payloads
from molecule.node.peers import check_speaker
from molecule.node.proposer import GroupResult, Proposer
from molecule.node.seats import Seats
from molecule.node.submit import Accepted, SubmitDoor
from molecule.node.worker_links import WorkerLinks
from molecule.raft.outbox import Role
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from tests.simulation.whole.calls import Calls
from tests.simulation.whole.documents import Documents
from tests.simulation.whole.machine import Control
from tests.simulation.whole.replicated import Replicated

_SLOTS = 6


class Consensus(Protocol):
    """What a node asks of its part in consensus; as `raft.driver.RaftDriver`."""

    @property
    def leader_id(self) -> str | None: ...

    @property
    def applied_index(self) -> int: ...

    async def commit(self, data: bytes) -> object: ...

    async def fresh(self, *, at_once: bool = True) -> int: ...

    async def until_applied(self, index: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Around:
    """What the world gives to a node process."""

    name: str
    life: str
    voters: tuple[str, ...]
    timing: Timing
    limits: Limits
    consensus: Consensus
    copy: Replicated
    documents: Documents
    calls: Calls
    control: Control
    on_fatal: Callable[[str], None]
    on_put: Callable[[str, int, int], None]


class Node:
    """One life. Built inside of its loop."""

    def __init__(self, around: Around) -> None:
        self._around = around
        limits, timing = around.limits, around.timing
        self.replica = around.copy.replica
        rows: Any = around.copy.rows
        self._clock = ClusterClock(around.voters)
        self._proposer = Proposer(self._commit, self._clock.now_ms, self.replica.has_time, limits)
        self.forwarder = Forwarder(
            me=around.name,
            leader=self._leader_id,
            proposer=self._proposer,
            send=self._propose_at,
            limits=limits,
        )
        self.leader = Leader(
            node=around.name,
            life=around.life,
            replica=self.replica,
            rows=rows,
            proposer=self._proposer,
            clock=self._clock,
            barrier=around.consensus.fresh,
            timing=timing,
            limits=limits,
        )
        self._payloads = Payloads(
            me=around.name,
            voters=lambda: around.voters,
            documents=around.documents,
            put_at=self._put_at,
            get_from=self._get_from,
            limits=limits,
        )
        documents: Any = around.documents
        self._live_documents = LiveDocuments(
            self.replica,
            documents,
            until_applied=around.consensus.until_applied,
            on_lacking=self._payloads.hurry,
        )
        self._build_agent(rows)
        self._door = SubmitDoor(
            node=around.name,
            state=lambda: self.replica.state,
            forwarder=self.forwarder,
            payloads=self._payloads,
            ask_worker=self._ask_worker,
            limits=limits,
        )
        self._actions = Actions(
            forwarder=self.forwarder, state=lambda: self.replica.state, limits=limits
        )
        around.calls.serve = self.leader.serve
        around.calls.answers = {
            "propose": self._answer_propose,
            "read_index": self._answer_read_index,
            "put": self._answer_put,
            "get": self._answer_get,
        }

    def _build_agent(self, rows: Any) -> None:
        around = self._around
        limits, timing = around.limits, around.timing
        stored = StoredPackages(
            state=lambda: self.replica.state, store=rows, payloads=self._payloads
        )
        self._packages = Packages(
            read=stored.read, environment_digest=stored.environment_digest, limits=limits
        )
        asked = AskedState(lambda: self.replica.state, self._read_behind)
        lease_us = timing.lease_ms * 1000
        self.agent = Agent(
            rounds=AgentRounds(
                node=around.name,
                life=around.life,
                seats=Seats(shared_max=1, starting_max=2, lease_us=lease_us, limits=limits),
                lease_us=lease_us,
                limits=limits,
            ),
            registration=c.RegisterNode(
                node=around.name,
                life=around.life,
                slots=_SLOTS,
                rpc_address=f"{around.name}:1",
                http_address=f"{around.name}:2",
                software="sim",
                voter=True,
            ),
            heartbeat_s=timing.heartbeat_ms / 1000,
            report_s=limits.report_ms_max / 1000,
            # Nobody's memory is measured here: it would be that of the simulator.
            memory_sample_s=1e9,
            control=around.control,  # type: ignore[arg-type]
            forwarder=self.forwarder,
            leader=self._leader_id,
            open_session=self._open_session,
            send_worker=self._to_worker,
            on_worker_death=lambda _: None,
            on_fatal=around.on_fatal,
            on_refused=around.on_fatal,
            wall=wall_ms,
        )
        self.agent.keep_time(self._clock)
        gates = Gates(self.replica, self.forwarder, limits)
        desk = Desk(
            gates=gates,
            agent=self.agent,
            versions=asked.active_version,
            groups=asked.group,
            forwarder=self.forwarder,
            payloads=self._payloads,
            limits=limits,
        )
        self.workers = WorkerLinks(desk, self._packages.needed_by, limits)

    async def run(self) -> None:
        """Until something in it fails."""
        async with asyncio.TaskGroup() as group:
            for part in (self._proposer.run(), self.forwarder.run(), self.leader.run()):
                group.create_task(part)
            for part in (self.workers.run(), self.agent.run()):
                group.create_task(part)
            group.create_task(self._payloads.repair(self._live_documents.lacking))
            group.create_task(self._payloads.collect(self._live_documents.is_referenced))

    def role_changed(self, role: Role) -> None:
        """Consensus has another leader or term."""
        self.leader.role_changed(role.term if role.is_leader else None)
        self.forwarder.leader_changed()
        self.agent.leader_changed()

    # ---- what clients, people and supervisors ask

    async def submit(self, request: d.SubmitRequest, *, within_s: float) -> Accepted:
        """One submission."""
        answers, _ = await self._door.submit(ADMIN, request, within_s=within_s)
        return answers[0]

    async def propose(self, commands: Commands, *, within_s: float) -> GroupResult:
        """What a person says, wherever the leader is."""
        return await self.forwarder.insist(commands, within_s=within_s)

    async def cancel(self, execution: str, *, within_s: float) -> None:
        """End it."""
        await self._actions.cancel(ADMIN, execution, {}, within_s=within_s)

    async def release(self, execution: str, *, within_s: float) -> None:
        """Let one that is parked go on."""
        await self._actions.release(ADMIN, execution, {}, within_s=within_s)

    async def fail(self, execution: str, *, within_s: float) -> None:
        """Give one up that is parked."""
        await self._actions.fail(ADMIN, execution, {}, within_s=within_s)

    async def resolve(
        self, execution: str, answers: Sequence[dict[str, str]], *, within_s: float
    ) -> None:
        """Answer for what is in doubt."""
        fields = {"answers": answers}
        await self._actions.resolve(ADMIN, execution, fields, within_s=within_s)

    async def report_death(self, node: str, life: str) -> bool:
        """A supervisor tells the end of a life; `NoLeader` where nobody leads."""
        said = c.ReportNodeDeath(node=node, life=life, evidence="reaped")
        result = await self._proposer.propose([c.Command(version=1, report_node_death=said)])
        return wire.outcome_to_wire(result.outcomes[0]).applied

    # ---- what the parts ask of each other

    def _leader_id(self) -> str | None:
        return self._around.consensus.leader_id

    async def _commit(self, entry: bytes) -> tuple[int, tuple[Outcome, ...]]:
        result: Any = await self._around.consensus.commit(entry)
        return tuple(result)

    async def _open_session(self, leader: str) -> LeaderSession:
        if leader == self._around.name:
            return LocalSession(leader, self.leader.serve)
        return self._around.calls.session(leader)

    async def _read_behind(self) -> None:
        leader = self._leader_id()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        consensus = self._around.consensus
        if leader == self._around.name:
            await consensus.fresh()
        else:
            async with asyncio.timeout(self._around.limits.read_index_ms_max / 1000):
                index = await self._around.calls.ask(leader, "read_index", b"")
            await consensus.until_applied(int(index))

    def _to_worker(self, worker: str, message: w.ToWorker) -> None:
        self.workers.send(worker, message)

    async def _ask_worker(self, request: w.WorkerRequest) -> w.WorkerReply:
        self.agent.want_worker()
        return await self.workers.ask(request)

    # ---- calls to and of other nodes

    async def _propose_at(self, node: str, groups: Sequence[Commands]) -> list[GroupResult]:
        request = p.ProposeRequest(groups=[p.CommandGroup(commands=group) for group in groups])
        content = await self._around.calls.ask(node, "propose", request.SerializeToString())
        reply = p.ProposeReply.FromString(content)
        return [wire.result_from_wire(group) for group in reply.groups]

    async def _answer_propose(self, peer: str, content: bytes) -> bytes:
        request = p.ProposeRequest.FromString(content)
        for group in request.groups:
            for command in group.commands:
                check_speaker(peer, command)
        results = await self._proposer.propose_all([list(g.commands) for g in request.groups])
        reply = p.ProposeReply(groups=[wire.result_to_wire(result) for result in results])
        return reply.SerializeToString()

    async def _answer_read_index(self, peer: str, content: bytes) -> bytes:
        del peer, content
        return str(await self._around.consensus.fresh()).encode()

    async def _put_at(self, voter: str, content: bytes, execution: str, token: int) -> None:
        put = w.DocumentPut(execution=execution, token=token, content=content)
        await self._around.calls.ask(voter, "put", put.SerializeToString())

    async def _answer_put(self, peer: str, content: bytes) -> bytes:
        del peer
        put = w.DocumentPut.FromString(content)
        if put.execution:
            self.replica.check_writer(put.execution, put.token)
        # As of the check: while the disk syncs the execution may be given to another one.
        known = self.replica.state.executions.get(ExecutionId(put.execution))
        token = int(known.token) if known is not None else 0
        await self._around.documents.put(put.content)
        if put.execution:
            self._around.on_put(put.execution, put.token, token)
        return b""

    async def _get_from(self, voter: str, digest: str) -> bytes | None:
        return await self._around.calls.ask(voter, "get", digest.encode()) or None

    async def _answer_get(self, peer: str, content: bytes) -> bytes:
        del peer
        return await self._around.documents.get(content.decode()) or b""  # type: ignore[arg-type]
