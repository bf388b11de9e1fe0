"""Submissions with effects: one that takes a key, and one that must never be repeated."""

import asyncio
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.runner.client import happened
from chaos.workloads.workload import (
    Scene,
    declared_keyed,
    declared_once,
    head,
    keyed,
    once,
)

_CLIENTS: Final = 4
_PAUSE_S: Final = (0.1, 0.7)
_REPEATS: Final = 0.1


class Orders:
    """Clients that submit, insist, and now and then repeat what was accepted."""

    name = "orders"

    def processes(self) -> Mapping[str, str]:
        """`orders`: reserve by key, then charge once."""
        return {"orders": head("orders") + "steps:\n" + keyed("reserve") + once("charge")}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """Both steps, in each that completes."""
        return {
            "orders": DeclaredProcess(steps=(*declared_keyed("reserve"), *declared_once("charge")))
        }

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Clients that are held up by each fault still get so much through."""
        count = int(minutes * 60)
        return {"submissions": count, "completed": count, "effects": 2 * count}

    async def run(self, scene: Scene) -> None:
        """All clients."""
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._client(scene, f"orders {number}"))

    async def _client(self, scene: Scene, name: str) -> None:
        client = scene.client(name)
        while not scene.stopping.is_set():
            key = scene.name("order")
            answered = await scene.insist(client, "orders", key, {"name": key})
            if happened(answered) and client.rng.random() < _REPEATS:
                await client.submit("orders", key, {"name": key})
            await scene.pause(client.rng.uniform(*_PAUSE_S))
