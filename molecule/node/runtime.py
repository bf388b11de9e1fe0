"""What a node process is made of, and what is wired to what. No decision is made here.

Read it from top to bottom: the data folder, the replica and its Raft driver, the way of commands
to the leader, the leader's rounds, the agent with its workers, the doors, the servers.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from molecule import __version__
from molecule.cluster.outcome import Outcome
from molecule.config import NodeConfig
from molecule.model.errors import NoLeader
from molecule.node import credentials
from molecule.node.addresses import Addresses
from molecule.node.agent import Agent, LeaderSession
from molecule.node.clock import ClusterClock
from molecule.node.control import Control
from molecule.node.desk import AskedState, Desk
from molecule.node.document_peers import DocumentPeers
from molecule.node.doors import Behind, gateway_door, local_server
from molecule.node.forwarder import Forwarder
from molecule.node.gates import Gates
from molecule.node.hand_over import HandOver
from molecule.node.health import health
from molecule.node.holders import Holders
from molecule.node.keeping import Keeping
from molecule.node.leader import Leader
from molecule.node.live_documents import LiveDocuments
from molecule.node.local_session import LocalSession
from molecule.node.member_parts import MemberParts
from molecule.node.opening import Opened, Told, agent_rounds, registration
from molecule.node.packages import Packages, StoredPackages
from molecule.node.payloads import Payloads
from molecule.node.peers import Answers, PeerClients, PeerService
from molecule.node.proposer import Proposer
from molecule.node.replica import Replica
from molecule.node.snapshots import DriverLinks, Snapshots
from molecule.node.trigger_health import TriggerHealths
from molecule.node.volatile_parts import VolatileParts
from molecule.node.watching import Watching
from molecule.node.worker_links import WorkerLinks
from molecule.raft.driver import RaftDriver
from molecule.raft.outbox import Role, SnapshotMark
from molecule.raft.settings import Timing as RaftTiming
from molecule.rpc.channel import PeerChannels
from molecule.rpc.documents import DocumentsService
from molecule.rpc.raft_link import RaftLinks
from molecule.rpc.server import PeerServer
from molecule.storage.rows import EMPTY_MARK
from molecule.telemetry.node_metrics import NodeMetrics
from molecule.wire.v1 import worker_pb2 as w
from molecule.wire.v1.peer_pb2_grpc import add_PeerServicer_to_server

_log = structlog.get_logger()


class Runtime:
    """One life of a node process. Built with everything opened; `run` until cancelled."""

    def __init__(
        self,
        config: NodeConfig,
        told: Told,
        opened: Opened,
        *,
        on_fatal: Callable[[str], None],
        on_refused: Callable[[str], None],
        on_restart: Callable[[str], None],
    ) -> None:
        self._config = config
        self._told, self._opened = told, opened
        self._on_fatal, self._on_refused = on_fatal, on_refused
        limits = config.limits
        self.metrics = NodeMetrics(software=__version__, limits=limits)
        self._credentials = credentials.load(config)
        self._channels = PeerChannels(self._credentials, limits=limits)
        self._addresses = Addresses(config)
        self._replica = Replica(opened.machine, opened.store, limits)
        self._clock = ClusterClock(self._addresses.voters, wall=told.wall)
        self._build_raft(on_refused, on_restart)
        self._proposer = Proposer(self._commit, self._clock.now_ms, self._replica.has_time, limits)
        self._clients = PeerClients(self._addresses, self._channels, limits)
        self._forwarder = Forwarder(
            me=config.id,
            leader=self._leader_id,
            proposer=self._proposer,
            send=self._clients.propose,
            limits=limits,
        )
        self._build_leader()
        self._build_documents()
        self._members = MemberParts(
            config,
            birth=opened.folder.identity.birth,
            group=self._driver,
            state=lambda: self._replica.state,
            addresses=self._addresses,
            clients=self._clients,
            leader=self._leader_id,
            missing_at=self._document_peers.missing_at,
            clock=self._clock,
        )
        self._driver.on_configuration(self._members.changed)
        self._build_agent()
        self.hand_over = HandOver(
            node=config.id,
            life=told.life,
            forwarder=self._forwarder,
            emptied=self._volatile.emptied,
            leadership=self._driver,
            limits=limits,
        )
        self._build_servers()
        self._build_watching()

    def _build_leader(self) -> None:
        config, opened = self._config, self._opened
        self._keeping = Keeping(
            config=config,
            replica=self._replica,
            store=opened.store,
            metrics=self.metrics,
            forwarder=self._forwarder,
            now_ms=self._clock.now_ms,
            heard=lambda: self._agent.rounds.headroom_heard,
        )
        self._leader = Leader(
            node=config.id,
            life=self._told.life,
            replica=self._replica,
            rows=opened.store,
            proposer=self._proposer,
            clock=self._clock,
            barrier=self._driver.barrier,
            timing=config.effective_timing,
            limits=config.limits,
            headroom=config.headroom,
            purges=self._keeping.purges,
        )

    def _build_raft(
        self, on_refused: Callable[[str], None], on_restart: Callable[[str], None]
    ) -> None:
        config, opened = self._config, self._opened
        mark = opened.store.mark
        self._links = RaftLinks(
            me=config.id,
            peers={peer.id: peer.rpc for peer in config.peers},
            channels=self._channels,
            timing=config.effective_timing,
            limits=config.limits,
        )
        self._driver = RaftDriver(
            folder=opened.folder,
            addresses={peer.id: peer.rpc for peer in config.peers},
            timing=RaftTiming.of(config.effective_timing),
            snapshot=SnapshotMark(mark.index, mark.term) if mark != EMPTY_MARK else None,
            state_machine=self._replica,
            transport=self._links,
            snapshot_sender=self._links,
            snapshot_store=Snapshots(opened.folder.generation.state, config.limits),
            on_fatal=self._on_fatal,
            on_refused=on_refused,
            on_installed=lambda installed: on_restart(
                f"a snapshot of entry {installed.index} was installed"
            ),
            metrics=self.metrics.raft,
            proposals_max=config.limits.proposals_queued_max,
            apply_slice_seconds=config.limits.apply_slice_ms / 1000,
        )
        self._driver.on_role(self._role_changed)
        self._links.attach(DriverLinks(self._driver))

    def _build_documents(self) -> None:
        config, opened, limits = self._config, self._opened, self._config.limits
        of = self._addresses.of
        self._document_peers = DocumentPeers(address_of=of, channels=self._channels, limits=limits)
        self._payloads = Payloads(
            me=config.id,
            voters=lambda: self._addresses.voters,
            learners=lambda: self._addresses.learners,
            documents=opened.documents,
            put_at=self._document_peers.put_at,
            get_from=self._document_peers.get_from,
            limits=limits,
        )
        self._live_documents = LiveDocuments(
            self._replica,
            opened.documents,
            until_applied=self._driver.until_applied,
            on_lacking=self._payloads.hurry,
        )
        self._holders = Holders(
            me=config.id,
            voters=lambda: self._addresses.voters,
            missing_at=self._document_peers.missing_at,
            missing_here=self._live_documents.lacking_at,
            referenced=self._live_documents.referenced,
        )

    def _build_agent(self) -> None:
        config, told = self._config, self._told
        timing = config.effective_timing
        self._asked = AskedState(lambda: self._replica.state, self._read_behind)
        self._stored = StoredPackages(
            state=lambda: self._replica.state, store=self._opened.store, payloads=self._payloads
        )
        self._packages = Packages(
            read=self._stored.read,
            environment_digest=self._stored.environment_digest,
            limits=config.limits,
        )
        self._agent = Agent(
            rounds=agent_rounds(config, told),
            registration=registration(config, told),
            heartbeat_s=timing.heartbeat_ms / 1000,
            memory_sample_s=config.limits.worker_memory_sample_ms / 1000,
            report_s=config.limits.report_ms_max / 1000,
            control=Control(told.control_fd),
            forwarder=self._forwarder,
            leader=self._leader_id,
            open_session=self._open_session,
            send_worker=self._to_worker,
            disk=self._keeping.room.beat,
            wall=told.wall,
            on_worker_death=self.metrics.worker_died,
            on_fatal=self._on_fatal,
            on_refused=self._on_refused,
        )
        self.gates = Gates(self._replica, self._forwarder, config.limits)
        desk = Desk(
            gates=self.gates,
            agent=self._agent,
            versions=self._asked.active_version,
            groups=self._asked.group,
            forwarder=self._forwarder,
            payloads=self._payloads,
            limits=config.limits,
        )
        self._workers = WorkerLinks(desk, self._packages.needed_by, config.limits)
        self._volatile = VolatileParts(
            config,
            replica=self._replica,
            agent=self._agent,
            workers=self._workers,
            forwarder=self._forwarder,
            clients=self._clients,
            addresses=self._addresses,
            metrics=self.metrics.volatile,
        )

    def _build_servers(self) -> None:
        config, opened, limits = self._config, self._opened, self._config.limits
        door = gateway_door(
            Behind(
                config=config,
                replica=self._replica,
                store=opened.store,
                forwarder=self._forwarder,
                payloads=self._payloads,
                holders=self._holders,
                room=self._keeping.room,
                retention=self._keeping.door(lambda: self._leader.disks),
                membership=self._members.membership,
                change=self._members.calls.change,
                addresses=self._addresses,
                ask_worker=self._ask_worker,
                leader=self._leader_id,
                health=self._health,
                age_s=self._driver.age_s,
                metrics=self.metrics.render,
                read_behind=self._read_behind,
                until_applied=self._driver.until_applied,
                volatile=self._volatile,
                triggers=TriggerHealths(
                    me=config.id, here=self._leader.triggers, ask=self._clients.triggers
                ),
            )
        )
        self._local = local_server(self._told, door, workers=self._workers, limits=limits)
        self._server = PeerServer(config.rpc, self._credentials, limits=limits)
        self._links.register(self._server)
        documents = DocumentsService(
            opened.documents,
            may_write=lambda _, execution, token: self._replica.check_writer(execution, token),
            missing=self._live_documents.lacking_at,
            limits=limits,
        )
        documents.register(self._server)
        self._server.register(
            add_PeerServicer_to_server,
            PeerService(
                proposer=self._proposer,
                leader=self._leader,
                membership=self._members.membership,
                is_gone=self._members.is_gone,
                barrier=self._driver.barrier,
                answers=Answers(
                    members=lambda: self._addresses.told(leader=self._leader_id()),
                    package=self._stored.read,
                    group=self._asked.group,
                    gate=self.gates.of_peer,
                    volatile=self._volatile.of_peer,
                ),
                limits=limits,
            ),
        )

    def _build_watching(self) -> None:
        self._watching = Watching(
            config=self._config,
            replica=self._replica,
            metrics=self.metrics,
            parts=(self._leader, self._agent, self._payloads),
            clocks=(self._clock, self._driver.transfer),
            throttled=lambda: self.gates.throttled_s,
        )

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._driver.start()
            await self._server.start()
            await self._local.start()
            _log.info("node_started", life=self._told.life, applied=self._driver.applied_index)
            async with asyncio.TaskGroup() as group:
                for part in (self._links.run(), self._proposer.run(), self._forwarder.run()):
                    group.create_task(part)
                for part in (self._clients.run(), self._leader.run(), self._workers.run()):
                    group.create_task(part)
                group.create_task(self._members.membership.run(self._members.joining))
                for part in (self._agent.run(), self._save(), self._watching.run()):
                    group.create_task(part)
                for part in (self._volatile.run(), self._keeping.run(), self._opened.failed()):
                    group.create_task(part)
                group.create_task(self._payloads.repair(self._live_documents.lacking))
                group.create_task(self._payloads.collect(self._live_documents.is_referenced))
        finally:
            await self._local.stop()
            await self._server.stop()
            await self._driver.stop()
            await self._channels.close()

    async def _save(self) -> None:
        async for mark in self._replica.flushes():
            self._driver.saved(SnapshotMark(mark.index, mark.term))
            self._keeping.sweeper.flushed()

    # ---- what the parts ask of each other

    def _leader_id(self) -> str | None:
        return self._driver.leader_id

    def _role_changed(self, role: Role) -> None:
        self.metrics.raft.is_leader.set(1 if role.is_leader else 0)
        self.hand_over.role_changed(is_leader=role.is_leader)
        self._leader.role_changed(role.term if role.is_leader else None)
        self._forwarder.leader_changed()
        self._agent.leader_changed()

    async def _commit(self, entry: bytes) -> tuple[int, tuple[Outcome, ...]]:
        result: Any = await self._driver.propose(entry)
        return tuple(result)

    async def _open_session(self, leader: str) -> LeaderSession:
        if leader == self._config.id:
            return LocalSession(leader, self._leader.serve)
        return self._clients.session(leader)

    async def _read_behind(self) -> None:
        """Return when this node's state includes everything committed before the call."""
        leader = self._leader_id()
        if leader is None:
            raise NoLeader("no node leads at the moment")
        if leader == self._config.id:
            await self._driver.barrier()
        else:
            await self._driver.until_applied(await self._clients.read_index(leader))

    def _to_worker(self, worker: str, message: w.ToWorker) -> None:
        self._workers.send(worker, message)  # the links need the agent: they are built after it

    async def _ask_worker(self, request: w.WorkerRequest) -> w.WorkerReply:
        self._agent.want_worker()
        return await self._workers.ask(request)

    def _health(self) -> Mapping[str, Any]:
        return health(
            self._config.id,
            leader=self._leader_id(),
            is_formed=self._driver.is_formed,
            is_registered=self._agent.rounds.incarnation > 0,
            is_draining=self._agent.rounds.draining.is_on,
            role=self._members.role(),
            waits_because=self._members.joining.reason or self._driver.waits_because or "",
        )
