"""What a worker node is made of: agent and workers, no log, no state, no inbound port.

It dials the voters for everything: heartbeats and assignments on the session with the leader,
commands through it, documents and packages from any voter. It holds leases like every node.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from molecule import __version__
from molecule.config import NodeConfig
from molecule.model.document import DocumentRef
from molecule.model.errors import MoleculeError, NoLeader
from molecule.model.ids import Digest
from molecule.node import credentials
from molecule.node.addresses import Addresses
from molecule.node.agent import Agent, LeaderSession
from molecule.node.control import Control
from molecule.node.desk import Desk
from molecule.node.document_peers import DocumentPeers
from molecule.node.forwarder import Forwarder
from molecule.node.gate_reports import RemoteGates
from molecule.node.hand_over import HandOver
from molecule.node.leader_watch import LeaderWatch
from molecule.node.opening import Told, agent_rounds, registration
from molecule.node.packages import Packages
from molecule.node.payloads import Payloads, digest_of
from molecule.node.peers import PeerClients
from molecule.node.worker_host import WorkerHost
from molecule.node.worker_links import WorkerLinks
from molecule.rpc.channel import PeerChannels
from molecule.rpc.server import LocalServer
from molecule.telemetry.node_metrics import NodeMetrics
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from molecule.wire.v1.worker_pb2_grpc import add_WorkerHostServicer_to_server

_log = structlog.get_logger()


class NoStore:
    """The documents of a node that keeps none; `Payloads` puts them at the voters."""

    async def put(self, content: bytes) -> DocumentRef:
        """Only its name: the voters keep it."""
        return DocumentRef(digest_of(content), len(content))

    async def get(self, _digest: Digest) -> bytes | None:
        """Never here."""
        return None

    async def collect(self, _is_referenced: Callable[[str], bool]) -> int:
        """Nothing to delete."""
        return 0


class NoVote:
    """The leadership of a node that never leads."""

    is_leader = False

    def transfer(self) -> None:
        """Nothing to hand over."""


class WorkerRuntime:
    """One life of a worker node's process; `run` until cancelled."""

    def __init__(
        self,
        config: NodeConfig,
        told: Told,
        *,
        on_fatal: Callable[[str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._config = config
        self._told = told
        limits = config.limits
        # The addresses of today's voters are remembered there, for the report of a death.
        Path(config.data).mkdir(parents=True, exist_ok=True)
        self._addresses = Addresses(config)
        self._channels = PeerChannels(credentials.load(config), limits=limits)
        self._clients = PeerClients(self._addresses, self._channels, limits)
        self._watch = LeaderWatch(
            addresses=self._addresses, ask=self._clients.members, changed=self._leader_changed
        )
        self._forwarder = Forwarder(
            me=config.id,
            leader=self._leader_id,
            proposer=None,
            send=self._clients.propose,
            limits=limits,
        )
        documents = DocumentPeers(
            address_of=self._addresses.of, channels=self._channels, limits=limits
        )
        self._payloads = Payloads(
            me=config.id,
            voters=lambda: self._addresses.voters,
            documents=NoStore(),
            put_at=documents.put_at,
            get_from=documents.get_from,
            limits=limits,
        )
        self._build_agent(on_fatal, on_refused)
        self.hand_over = HandOver(
            node=config.id,
            life=told.life,
            forwarder=self._forwarder,
            emptied=self._agent.emptied,
            leadership=NoVote(),
            limits=limits,
        )
        self._local = LocalServer(told.socket_path, secret=told.secret, limits=limits)
        self._local.register(add_WorkerHostServicer_to_server, WorkerHost(self._workers))

    def _build_agent(
        self, on_fatal: Callable[[str], None], on_refused: Callable[[str], None]
    ) -> None:
        config, told, limits = self._config, self._told, self._config.limits
        timing = config.effective_timing
        metrics = NodeMetrics(software=__version__, limits=limits)
        self._agent = Agent(
            rounds=agent_rounds(config, told),
            registration=registration(config, told),
            heartbeat_s=timing.heartbeat_ms / 1000,
            memory_sample_s=limits.worker_memory_sample_ms / 1000,
            report_s=limits.report_ms_max / 1000,
            control=Control(told.control_fd),
            forwarder=self._forwarder,
            leader=self._leader_id,
            open_session=self._open_session,
            send_worker=self._to_worker,
            on_worker_death=metrics.worker_died,
            on_fatal=on_fatal,
            on_refused=on_refused,
        )
        packages = Packages(read=self._package, environment_digest=lambda _name: "", limits=limits)
        desk = Desk(
            agent=self._agent,
            versions=self._active_version,
            groups=self._group,
            forwarder=self._forwarder,
            payloads=self._payloads,
            limits=limits,
            gates=RemoteGates(self._gate, self._forwarder, limits),
        )
        self._workers = WorkerLinks(desk, packages.needed_by, limits)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._local.start()
            _log.info("worker_node_started", life=self._told.life)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch.run())
                group.create_task(self._forwarder.run())
                group.create_task(self._clients.run())
                group.create_task(self._workers.run())
                group.create_task(self._agent.run())
        finally:
            await self._local.stop()
            await self._channels.close()

    # ---- what the parts ask of each other

    def _leader_id(self) -> str | None:
        return self._watch.leader

    def _leader_changed(self) -> None:
        self._forwarder.leader_changed()
        self._agent.leader_changed()

    async def _open_session(self, leader: str) -> LeaderSession:
        return self._clients.session(leader)

    def _to_worker(self, worker: str, message: w.ToWorker) -> None:
        self._workers.send(worker, message)

    def _active_version(self, environment: str, process: str) -> str | None:
        # A trigger runs here under an assignment of one version, and is fenced by its token.
        held = self._agent.rounds.triggers.get((environment, process))
        return held.run.version if held is not None else None

    async def _package(self, owner: str, slot: str) -> bytes:
        refused: MoleculeError = NoLeader("no voter is known")
        for voter in self._addresses.voters:
            try:
                return await self._clients.package(voter, owner, slot)
            except MoleculeError as error:
                refused = error
        raise refused

    async def _group(self, name: str) -> w.GroupState:
        leader = self._leader_id()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        return await self._clients.group(leader, name)

    async def _gate(self, asked: w.GateAsk) -> p.GateReply:
        leader = self._leader_id()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        return await self._clients.gate(leader, asked)
