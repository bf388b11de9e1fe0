"""New versions of all processes under load: what runs goes on with the version it began with."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import httpx2

from chaos.declared import DeclaredProcess
from chaos.runner.client import ENVIRONMENT
from chaos.workloads.workload import Scene, Workload, repository

_PAUSE_S: Final = (5.0, 15.0)


class Deploys:
    """Applies the same processes again and again, each time as new versions."""

    name = "deploys"

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self._workloads = workloads
        self._editions = itertools.count(1)

    def processes(self) -> Mapping[str, str]:
        """None of its own."""
        return {}

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """None."""
        return {}

    def demands(self, minutes: float) -> Mapping[str, int]:
        """None."""
        del minutes
        return {}

    async def run(self, scene: Scene) -> None:
        """One deployment after the other, at any node."""
        while not scene.stopping.is_set():
            await scene.pause(scene.rng.uniform(*_PAUSE_S))
            files = repository(
                self._workloads, target=scene.site.target.url, edition=next(self._editions)
            )
            node = scene.rng.choice(scene.site.nodes)
            try:
                answer = await scene.site.http.post(
                    f"{scene.site.url(node)}/api/v1/apply",
                    json={"files": files},
                    params={"environment": ENVIRONMENT},
                )
            except httpx2.TransportError:
                continue  # a fault; the next one comes soon
            if answer.is_success or answer.json().get("retryable"):
                continue
            scene.trouble.append(f"a deployment was refused: {answer.text[:500]}")
