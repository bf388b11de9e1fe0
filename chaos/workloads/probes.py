"""Impatient callers at a steady pace: by them it is seen how long nobody takes any work.

Each gives up after a second and none waits for another, so a node that holds its callers, for it
looks for a leader, does not hide that the other nodes go on.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from chaos.declared import DeclaredProcess
from chaos.runner.client import Client
from chaos.workloads.workload import Scene, head

_EVERY_S: Final = 0.2
_TIMEOUT_S: Final = 1.0


class Probes:
    """One submission each fifth of a second, at any node."""

    name = "probes"

    def processes(self) -> Mapping[str, str]:
        """`probes`: nothing but a line in the log."""
        return {"probes": head("probes") + "steps:\n"}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """No step at the target."""
        return {"probes": DeclaredProcess()}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """Half of them get through."""
        return {"submissions": int(minutes * 60 / _EVERY_S / 2)}

    async def run(self, scene: Scene) -> None:
        """All probes."""
        async with asyncio.TaskGroup() as group:
            while not scene.stopping.is_set():
                group.create_task(self._probe(scene.client("probes"), scene.name("probe")))
                await scene.pause(_EVERY_S)

    async def _probe(self, client: Client, key: str) -> None:
        await client.submit("probes", key, {"name": key}, timeout_s=_TIMEOUT_S)
