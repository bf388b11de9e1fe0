"""What stands behind the gateway's door, put together. No decision is made here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from molecule.cluster.state import ClusterState
from molecule.config import Limits, NodeConfig
from molecule.node.actions import Actions
from molecule.node.addresses import Addresses
from molecule.node.cluster_actions import Change, ClusterActions
from molecule.node.deploy import DeployDoor
from molecule.node.door import DoorService, Health
from molecule.node.forwarder import Forwarder
from molecule.node.holders import Holders
from molecule.node.identify import Identifier
from molecule.node.membership import Membership
from molecule.node.node_actions import NodeActions
from molecule.node.opening import Told
from molecule.node.payloads import Payloads
from molecule.node.process_actions import ProcessActions
from molecule.node.reads import Reads
from molecule.node.replica import Replica
from molecule.node.retention_door import RetentionDoor
from molecule.node.room import Room
from molecule.node.signals import Signals
from molecule.node.submissions import SubmissionsService
from molecule.node.submit import SubmitDoor
from molecule.node.table_actions import TableActions
from molecule.node.trigger_health import TriggerHealths
from molecule.node.volatile_parts import VolatileParts
from molecule.node.worker_host import WorkerHost
from molecule.node.worker_links import WorkerLinks
from molecule.rpc.server import LocalServer
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import worker_pb2 as w
from molecule.wire.v1.door_pb2_grpc import add_DoorServicer_to_server
from molecule.wire.v1.submissions_pb2_grpc import add_SubmissionsServicer_to_server
from molecule.wire.v1.worker_pb2_grpc import add_WorkerHostServicer_to_server


@dataclass(frozen=True, slots=True)
class Behind:
    """The parts of a node process that its door uses."""

    config: NodeConfig
    replica: Replica
    store: StateStore
    forwarder: Forwarder
    payloads: Payloads
    holders: Holders
    room: Room
    retention: RetentionDoor
    membership: Membership
    change: Change
    addresses: Addresses
    ask_worker: Callable[[w.WorkerRequest], Awaitable[w.WorkerReply]]
    leader: Callable[[], str | None]
    health: Health
    metrics: Callable[[], bytes]
    age_s: Callable[[], float | None]
    read_behind: Callable[[], Awaitable[None]]
    until_applied: Callable[[int], Awaitable[None]]
    volatile: VolatileParts
    triggers: TriggerHealths

    def state(self) -> ClusterState:
        """The replicated state as it is on this node."""
        return self.replica.state


def gateway_door(behind: Behind) -> DoorService:
    """The door of this node."""
    config, forwarder, payloads = behind.config, behind.forwarder, behind.payloads
    limits = config.limits
    identifier = Identifier.from_file(Path(config.admin_token_file))
    submit = SubmitDoor(
        node=config.id,
        state=behind.state,
        forwarder=forwarder,
        payloads=payloads,
        ask_worker=behind.ask_worker,
        limits=limits,
        room=behind.room.check,
    )
    return DoorService(
        identifier=identifier,
        submit=submit,
        deploy=DeployDoor(
            forwarder=forwarder,
            payloads=payloads,
            ask_worker=behind.ask_worker,
            state=behind.state,
            limits=limits,
        ),
        actions=Actions(forwarder=forwarder, state=behind.state, limits=limits),
        tables=TableActions(forwarder=forwarder, state=behind.state, limits=limits),
        process_actions=ProcessActions(forwarder=forwarder, state=behind.state, limits=limits),
        nodes=NodeActions(
            forwarder=forwarder, state=behind.state, holders=behind.holders, limits=limits
        ),
        signals=Signals(forwarder=forwarder, payloads=payloads, limits=limits),
        members=_members(config, forwarder, behind),
        reads=Reads(
            config=config,
            state=behind.state,
            store=behind.store,
            payloads=payloads,
            leader=behind.leader,
            triggers=behind.triggers,
            age_s=behind.age_s,
            members=behind.membership.view,
        ),
        replica=behind.replica,
        store=behind.store,
        payloads=payloads,
        health=behind.health,
        metrics=behind.metrics,
        read_behind=behind.read_behind,
        until_applied=behind.until_applied,
        limits=limits,
        retention=behind.retention,
        age_s=behind.age_s,
        volatile=behind.volatile.door(submit, identifier).submit,
    )


def _members(config: NodeConfig, forwarder: Forwarder, behind: Behind) -> ClusterActions:
    return ClusterActions(
        config=config,
        forwarder=forwarder,
        state=behind.state,
        addresses=behind.addresses,
        holders=behind.holders,
        change=behind.change,
        leader=behind.leader,
    )


def local_server(
    told: Told, door: DoorService, *, workers: WorkerLinks, limits: Limits
) -> LocalServer:
    """The server on the node's unix socket, for its gateway and its workers."""
    local = LocalServer(told.socket_path, secret=told.secret, limits=limits)
    local.register(add_DoorServicer_to_server, door)
    carried = SubmissionsService(door.submit, limits)
    local.register(add_SubmissionsServicer_to_server, carried)
    local.register(add_WorkerHostServicer_to_server, WorkerHost(workers))
    return local
