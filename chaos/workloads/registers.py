"""Rows of a key table as registers: reads, writes, swaps that look like one after the other."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.workloads.workload import Scene

_CLIENTS: Final = 3
_NAMES: Final = 2
_OPERATIONS_MAX: Final = 300
"""Of one register: the search for an order of more of them takes too long."""
_PAUSE_S: Final = (0.1, 0.6)
_READS, _WRITES = 0.5, 0.25


class Registers:
    """A few clients on a few registers, new ones after a while."""

    name = "registers"

    def __init__(self) -> None:
        self._values = itertools.count(1)
        self._asked = itertools.count()

    def processes(self) -> Mapping[str, str]:
        """None: people and programs write rows by REST."""
        return {}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """None."""
        return {}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Reads of the registers."""
        return {"register_reads": int(30 * minutes)}

    async def run(self, scene: Scene) -> None:
        """All clients."""
        async with asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._client(scene, f"registers {number}"))

    async def _client(self, scene: Scene, name: str) -> None:
        client = scene.client(name)
        seen: dict[str, object] = {}
        while not scene.stopping.is_set():
            epoch = next(self._asked) // (_OPERATIONS_MAX * _NAMES)
            register = f"r{epoch}.{client.rng.randrange(_NAMES)}"
            choice = client.rng.random()
            if choice < _READS:
                answered = await client.read(register)
                seen[register] = answered.value
            elif choice < _READS + _WRITES:
                await client.write(register, next(self._values))
            else:
                await client.swap(register, seen.get(register), next(self._values))
            await scene.pause(client.rng.uniform(*_PAUSE_S))
