"""What people see of retention, and the purge that they ask for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from molecule.access import policy
from molecule.access.policy import Action, Actor
from molecule.cluster import retention
from molecule.cluster.state import ClusterState
from molecule.config import Retention
from molecule.model.disk import DiskReport
from molecule.model.errors import InvalidInput
from molecule.model.ids import NodeId
from molecule.model.retention import RetentionClass
from molecule.node import wire
from molecule.node.purges import Purges
from molecule.node.room import Room
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import commands_pb2 as c

View = Mapping[str, Any]


class RetentionDoor:
    """Used by the gateway's door."""

    def __init__(
        self,
        *,
        state: Callable[[], ClusterState],
        store: StateStore,
        purges: Purges,
        room: Room,
        disks: Callable[[], Mapping[NodeId, DiskReport]],
        settings: Retention,
    ) -> None:
        self._state = state
        self._store = store
        self._purges = purges
        self._room = room
        self._disks = disks
        self._settings = settings

    async def show(self) -> View:
        """Classes with their bounds, horizons and sizes here; disks as far as this node knows."""
        state = self._state()
        used = {usage.name: usage for usage in await self._store.usage()}
        classes = []
        for name in RetentionClass:
            usage = used.pop(name.value, None)
            classes.append(
                {
                    "class": name.value,
                    "kept_ms": self._settings.kept_ms(name),
                    "bytes_max": self._settings.bytes_max(name),
                    "horizon_at_ms": retention.horizon_ms(state, name),
                    "rows": usage.rows if usage else 0,
                    "bytes": usage.size_bytes if usage else 0,
                }
            )
        kept = [
            {"class": usage.name, "rows": usage.rows, "bytes": usage.size_bytes}
            for usage in used.values()
        ]
        level, node = self._room.admission()
        # A node that left is remembered for a while by what it last said.
        disks = {name: disk for name, disk in self._disks().items() if name in state.nodes}
        if self._room.disk is not None:
            disks.setdefault(self._room.node, self._room.disk)
        return {
            "level": level.name.lower(),
            "fullest_node": node,
            "classes": classes,
            "never_purged": kept,
            "disks": [_disk(name, disk) for name, disk in sorted(disks.items())],
        }

    async def purge(self, actor: Actor, fields: Mapping[str, Any]) -> View:
        """Purge what ended longer ago than asked; with `plan` only count it."""
        policy.check(actor, Action.PURGE)
        names = _classes(fields.get("classes", ()))
        older_ms = fields.get("older_than_ms")
        state = self._state()
        planned = []
        horizons: dict[RetentionClass, int] = {}
        for name in names:
            kept_ms = self._settings.kept_ms(name) if older_ms is None else int(older_ms)
            before_ms = max(0, state.time_ms - kept_ms)
            from_ms = retention.horizon_ms(state, name)
            count = await self._store.ended_count(name, from_ms=from_ms, before_ms=before_ms)
            horizons[name] = before_ms
            planned.append({"class": name.value, "before_at_ms": before_ms, "executions": count})
        if fields.get("plan"):
            return {"plan": True, "classes": planned, "documents_of": 0}
        command = c.PurgeEnded(actor=wire.actor_to_wire(actor))
        released = await self._purges.carry_out(command, horizons)
        return {"plan": False, "classes": planned, "documents_of": released}


def _classes(asked: Sequence[str]) -> list[RetentionClass]:
    known = [str(name) for name in RetentionClass]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InvalidInput(
            f"there is no retention class {unknown[0]} (known: {', '.join(known)})", field="class"
        )
    return [RetentionClass(name) for name in asked] or list(RetentionClass)


def _disk(name: str, disk: DiskReport) -> View:
    return {
        "node": name,
        "total_bytes": disk.total_bytes,
        "available_bytes": disk.available_bytes,
        "used_percent": round(disk.used_percent, 1),
        "reserve_bytes": disk.reserve_bytes,
        "reserve_held_bytes": disk.reserve_held_bytes,
    }
