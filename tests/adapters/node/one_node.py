"""A node that is its own cluster, without network or journal: real state, store and documents.

What is proposed is applied at once, as the next entry of an invented log. The worker is the only
part that is made up: it answers what the test laid ready.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from molecule.cluster.apply import StateMachine
from molecule.cluster.outcome import Outcome
from molecule.cluster.state import ClusterState
from molecule.config import Limits, NodeConfig, Timing, TlsFiles
from molecule.model.errors import NoLeader
from molecule.model.ids import Digest
from molecule.node import leader_rounds
from molecule.node.forwarder import Forwarder
from molecule.node.payloads import Payloads
from molecule.node.proposer import GroupResult, Proposer
from molecule.node.replica import Replica
from molecule.storage.documents import DocumentStore
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w

NOW_MS = 1_700_000_000_000
ENVIRONMENT = "test"
PACKAGE = b"package of orders"
SETTINGS = b"settings of test"
WITHIN_S = 5.0


@dataclass
class OneNode:
    """Made by `one_node`; already leads, with one process deployed."""

    limits: Limits
    store: StateStore
    documents: DocumentStore
    config: NodeConfig
    replies: list[w.WorkerReply] = field(default_factory=list)
    """What the worker answers next."""
    asked: list[w.WorkerRequest] = field(default_factory=list)
    at_ms: int = NOW_MS

    def __post_init__(self) -> None:
        self.replica = Replica(StateMachine(), self.store, self.limits)
        self.proposer = Proposer(
            commit=self._commit,
            now_ms=lambda: self.at_ms,
            has_time=lambda: True,
            limits=self.limits,
        )
        self.forwarder = Forwarder(
            me="n1",
            leader=lambda: "n1",
            proposer=self.proposer,
            send=self._nobody,
            limits=self.limits,
        )
        self.payloads = Payloads(
            me="n1",
            voters=lambda: ("n1",),
            documents=self.documents,
            put_at=self._put_nowhere,
            get_from=self._nowhere,
            limits=self.limits,
        )

    @property
    def state(self) -> ClusterState:
        return self.replica.state

    async def ask_worker(self, request: w.WorkerRequest) -> w.WorkerReply:
        self.asked.append(request)
        return self.replies.pop(0)

    async def say(self, **kind: object) -> Outcome:
        """Commit one command."""
        command = c.Command(version=1, **kind)  # type: ignore[arg-type]  # one kind, by its name
        return (await self.forwarder.insist([command], within_s=WITHIN_S)).outcomes[0]

    async def submit(self, name: str, **fields: object) -> None:
        """An accepted execution with an empty input."""
        submission = c.SubmitExecution(
            execution=name,
            idempotency_key=f"key of {name}",
            body_digest="body",
            environment=ENVIRONMENT,
            process="orders",
            input=c.Payload(inline=b"[]"),
        )
        submission.MergeFrom(c.SubmitExecution(**fields))  # type: ignore[arg-type]  # its fields
        await self.say(submit_execution=submission)

    async def start(self, name: str, **fields: object) -> int:
        """An execution that this node holds; its token."""
        await self.submit(name, **fields)
        node = self.state.nodes[self.state.leader]
        outcome = await self.say(
            assign_execution=c.AssignExecution(
                epoch=self.state.epoch,
                execution=name,
                node="n1",
                incarnation=node.incarnation,
            )
        )
        return int(getattr(outcome, "value", 0))

    async def deploy(self, process: str, **options: object) -> None:
        """Make version v1 of the process active."""
        await self.say(
            put_version=c.PutVersion(
                process=process,
                version="v1",
                options=c.VersionOptions(**options),  # type: ignore[arg-type]  # its fields
                package=c.Payload(inline=PACKAGE),
            )
        )
        await self.say(
            activate_version=c.ActivateVersion(
                environment=ENVIRONMENT, process=process, version="v1"
            )
        )

    async def _commit(self, entry: bytes) -> tuple[int, tuple[Outcome, ...]]:
        return self.replica.apply(self.state.index + 1, 1, entry)

    async def _nobody(self, _node: str, _groups: object) -> list[GroupResult]:
        raise NoLeader("there is no other node")

    async def _put_nowhere(self, _voter: str, _content: bytes, _execution: str, _t: int) -> None:
        raise NoLeader("there is no other node")

    async def _nowhere(self, _voter: str, _digest: Digest) -> bytes | None:
        return None


@contextlib.asynccontextmanager
async def one_node(folder: Path, limits: Limits | None = None) -> AsyncIterator[OneNode]:
    """The node with its data in `folder`, closed at the end."""
    limits = limits or Limits()
    store = await StateStore.create(folder / "state.db", limits=limits)
    documents = await DocumentStore.open(folder / "documents", limits=limits, clock_ms=lambda: 0)
    config = NodeConfig(
        id="n1",
        data=str(folder),
        tls=TlsFiles(ca=str(folder / "ca.pem"), certificate="", key=""),
        admin_token_file="",
        limits=limits,
    )
    node = OneNode(limits, store, documents, config)
    running = asyncio.create_task(node.proposer.run())
    try:
        bounds = leader_rounds.bounds(Timing(), limits)
        await node.say(claim_leadership=c.ClaimLeadership(node="n1", bounds=bounds))
        await node.say(register_node=c.RegisterNode(node="n1", life="1", slots=4, voter=True))
        await node.say(
            put_environment=c.PutEnvironment(
                environment=ENVIRONMENT, digest="1", settings=c.Payload(inline=SETTINGS)
            )
        )
        await node.deploy("orders")
        yield node
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()
        await documents.close()
