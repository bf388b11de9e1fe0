"""What of a node keeps data and lets it go, put together: room, purges, sweeper, and their door.

No decision is made here; the parts tell theirs. What stays true: each of them runs on every voter,
and purges decide only where this node leads.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from molecule.cluster.outcome import Outcome
from molecule.cluster.state import ClusterState
from molecule.config import NodeConfig
from molecule.model.disk import DiskReport
from molecule.model.ids import NodeId
from molecule.node.clock import boottime_us
from molecule.node.forwarder import Forwarder
from molecule.node.purges import Purges
from molecule.node.replica import Replica
from molecule.node.retention_door import RetentionDoor
from molecule.node.room import Heard, Room
from molecule.node.sweeper import Sweeper
from molecule.storage.reserve import Reserve
from molecule.storage.state_store import StateStore
from molecule.telemetry.node_metrics import NodeMetrics
from molecule.wire.v1 import commands_pb2 as c


class Keeping:
    """One per node process; built by the runtime."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        replica: Replica,
        store: StateStore,
        metrics: NodeMetrics,
        forwarder: Forwarder,
        now_ms: Callable[[], int],
        heard: Heard,
    ) -> None:
        self._config = config
        self._replica = replica
        self._store = store
        self._metrics = metrics.storage
        self._forwarder = forwarder
        self.room = Room(
            node=config.id,
            reserve=Reserve(Path(config.data), config.headroom),
            settings=config.headroom,
            heard=heard,
            on_refused=metrics.storage.refused,
            on_alarm=metrics.alarms.labels("disk_level").inc,
        )
        self.purges = Purges(
            state=self._state,
            store=store,
            propose=self._propose,
            now_ms=now_ms,
            settings=config.retention,
            limits=config.limits,
        )
        self.sweeper = Sweeper(
            state=self._state,
            store=store,
            is_scarce=lambda: self.room.is_scarce,
            on_full=self.room.on_full,
            on_purged=metrics.storage.purged,
            limits=config.limits,
        )
        replica.on_full = self.room.on_full
        replica.listen(self.sweeper.entry_applied)

    def _state(self) -> ClusterState:
        return self._replica.state

    async def _propose(self, commands: Sequence[c.Command]) -> Sequence[Outcome]:
        within_s = self._config.limits.report_ms_max / 1000
        return (await self._forwarder.insist(commands, within_s=within_s)).outcomes

    def door(self, disks: Callable[[], Mapping[NodeId, DiskReport]]) -> RetentionDoor:
        """What people are told, and the purge they ask for."""
        return RetentionDoor(
            state=self._state,
            store=self._store,
            purges=self.purges,
            room=self.room,
            disks=disks,
            settings=self._config.retention,
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.room.run())
            group.create_task(self.sweeper.run())
            group.create_task(self.purges.measure())
            group.create_task(self._sample())

    async def _sample(self) -> None:
        every_s = max(1.0, self._config.headroom.measure_every_ms / 1000)
        while True:
            await asyncio.sleep(every_s)
            disk = self.room.disk
            if disk is not None:
                self._metrics.disk(
                    self._config.data,
                    free_bytes=disk.available_bytes,
                    held_bytes=disk.reserve_held_bytes,
                    level=self.room.admission().level,
                    now_s=boottime_us() / 1_000_000,
                )
            for usage in self.purges.usage:
                self._metrics.kept(usage.name, usage.size_bytes)
