"""Executions that share concurrency keys: one after the other, in the order of acceptance."""

import asyncio
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.workloads.workload import Scene, declared_once, head, once

_KEYS: Final = 3
_PAUSE_S: Final = (0.2, 1.2)


class Lanes:
    """One client for each key, and one that goes to all of them."""

    name = "lanes"

    def processes(self) -> Mapping[str, str]:
        """`lanes`: by key, one at a time."""
        options = "{concurrency: {by: lane, limit: 1, on_park: block}}"
        return {"lanes": head("lanes", options=options) + "steps:\n" + once("note")}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """Ordered, one effect each."""
        return {"lanes": DeclaredProcess(steps=declared_once("note"), ordered=True)}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Neighbours in a lane."""
        return {"ordered_executions": int(20 * minutes)}

    async def run(self, scene: Scene) -> None:
        """All clients."""
        async with asyncio.TaskGroup() as group:
            for number in range(_KEYS + 1):
                group.create_task(self._client(scene, number))

    async def _client(self, scene: Scene, number: int) -> None:
        client = scene.client(f"lanes {number}")
        while not scene.stopping.is_set():
            lane = f"lane{number if number < _KEYS else client.rng.randrange(_KEYS)}"
            key = scene.name("note")
            value = {"name": key, "lane": lane}
            await scene.insist(client, "lanes", key, value, order_key=lane)
            await scene.pause(client.rng.uniform(*_PAUSE_S))
