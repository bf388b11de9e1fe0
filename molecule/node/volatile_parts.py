"""What runs volatile executions on a voter, put together. No decision is made here."""

import asyncio

from molecule.config import NodeConfig
from molecule.node.addresses import Addresses
from molecule.node.agent import Agent
from molecule.node.forwarder import Forwarder
from molecule.node.identify import Identifier
from molecule.node.peers import PeerClients, SayMore
from molecule.node.replica import Replica
from molecule.node.submit import SubmitDoor
from molecule.node.volatile import VolatileHost
from molecule.node.volatile_door import VolatileDoor
from molecule.node.volatile_records import VolatileRecords
from molecule.node.worker_links import WorkerLinks
from molecule.telemetry.volatile_metrics import VolatileMetrics
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w


class VolatileParts:
    """One per life of a voter's node process."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        replica: Replica,
        agent: Agent,
        workers: WorkerLinks,
        forwarder: Forwarder,
        clients: PeerClients,
        addresses: Addresses,
        metrics: VolatileMetrics,
    ) -> None:
        self._config = config
        self._replica = replica
        self._agent = agent
        self._clients = clients
        self._addresses = addresses
        self._metrics = metrics
        self._door: VolatileDoor | None = None
        self._records = VolatileRecords(
            node=config.id, forwarder=forwarder, metrics=metrics, limits=config.limits
        )
        self._host = VolatileHost(
            node=config.id,
            links=workers,
            lease_until_us=lambda: agent.rounds.lease_until_us,
            is_draining=lambda: agent.rounds.draining.is_on,
            want_worker=agent.want_worker,
            limits=config.limits,
        )

    def door(self, submits: SubmitDoor, identifier: Identifier) -> VolatileDoor:
        """The part of the gateway's door; asked for once."""
        self._door = VolatileDoor(
            node=self._config.id,
            state=lambda: self._replica.state,
            cluster_time_ms=self._time_ms,
            submits=submits,
            identifier=identifier,
            host=self._host,
            others=self._clients,
            voters=lambda: self._addresses.voters,
            records=self._records,
            metrics=self._metrics,
            limits=self._config.limits,
        )
        self._replica.listen(self._door.entry_applied)
        return self._door

    async def of_peer(self, request: p.VolatileRequest, say_more: SayMore) -> w.VolatileSaid:
        """One that was asked of another node."""
        return await self._host.run(request.run, say_more, at_once=request.at_once)

    async def emptied(self) -> None:
        """Return when the node drains, holds nothing, and runs nothing volatile."""
        await self._agent.emptied()
        await self._host.emptied()

    async def run(self) -> None:
        """Until cancelled."""
        if self._door is None:
            await asyncio.Event().wait()
        else:
            await self._door.run()

    def _time_ms(self) -> int:
        return max(self._replica.state.time_ms, self._agent.rounds.cluster_time_ms)
