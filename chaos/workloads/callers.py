"""HTTP callers who wait for the result of what they submit."""

import asyncio
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.workloads.workload import Scene, declared_keyed, head, keyed

_CLIENTS: Final = 3
_PAUSE_S: Final = (0.1, 0.8)


class Callers:
    """What a caller is told of an end is compared with the end that stays."""

    name = "callers"

    def processes(self) -> Mapping[str, str]:
        """`callers`: one step by key."""
        return {"callers": head("callers") + "steps:\n" + keyed("look")}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """Its step."""
        return {"callers": DeclaredProcess(steps=declared_keyed("look"))}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Nothing beyond the other workloads' demands."""
        del minutes
        return {}

    async def run(self, scene: Scene) -> None:
        """All callers."""
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._caller(scene, f"callers {number}"))

    async def _caller(self, scene: Scene, name: str) -> None:
        client = scene.client(name)
        while not scene.stopping.is_set():
            key = scene.name("call")
            await scene.insist(client, "callers", key, {"name": key}, wait="15s")
            await scene.pause(client.rng.uniform(*_PAUSE_S))
