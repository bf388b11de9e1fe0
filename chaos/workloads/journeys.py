"""Long executions that commit a checkpoint behind each of their steps, some of them cancelled."""

import asyncio
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.runner.client import happened
from chaos.workloads.workload import Scene, declared_keyed, declared_once, head, keyed, once

_LEGS: Final = tuple(f"slow{number}" for number in range(1, 9))
_CLIENTS: Final = 3
_CANCELLED: Final = 0.2
_PAUSE_S: Final = (0.5, 2.0)
_CANCEL_AFTER_S: Final = (0.1, 3.0)


class Journeys:
    """Each holds a slot for seconds, so that most faults meet some of them."""

    name = "journeys"

    def processes(self) -> Mapping[str, str]:
        """`journeys`: eight slow legs by key, then one arrival."""
        legs = "".join(keyed(leg) for leg in _LEGS)
        return {"journeys": head("journeys") + "steps:\n" + legs + once("arrive")}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """Every leg, and the arrival."""
        steps = (*declared_keyed(*_LEGS), *declared_once("arrive"))
        return {"journeys": DeclaredProcess(steps=steps)}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Some of them were taken from a node that was lost."""
        return {"moved_executions": max(1, int(minutes))}

    async def run(self, scene: Scene) -> None:
        """All clients."""
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._client(scene, f"journeys {number}"))

    async def _client(self, scene: Scene, name: str) -> None:
        client = scene.client(name)
        while not scene.stopping.is_set():
            key = scene.name("journey")
            answered = await scene.insist(client, "journeys", key, {"name": key})
            if happened(answered) and client.rng.random() < _CANCELLED:
                await scene.pause(client.rng.uniform(*_CANCEL_AFTER_S))
                await client.cancel(answered.execution)
            await scene.pause(client.rng.uniform(*_PAUSE_S))
