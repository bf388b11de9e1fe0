"""What a workload is: the processes it needs, what they promise, and the clients that use them.

All workloads of a run share one environment, one target and one history. What must stay true: a
workload stops asking when it is told to, and leaves no request without an answer.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from chaos.declared import DeclaredProcess, DeclaredStep
from chaos.records import Answered
from chaos.runner.client import ENVIRONMENT, Client, happened
from chaos.runner.recording import Recording
from chaos.runner.site import Site
from molecule.model.effect import Effect

STEP_TIMEOUT_S: Final = 5
_TRIES_MAX: Final = 8
_PAUSE_S: Final = (0.05, 0.4)


@dataclass(slots=True)
class Scene:
    """What a workload works with; one for each run."""

    site: Site
    recording: Recording
    rng: random.Random
    stopping: asyncio.Event
    trouble: list[str] = field(default_factory=list)
    """What went wrong in a way that no check would see: the run fails for it."""
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def client(self, name: str) -> Client:
        """A client that asks all nodes."""
        urls = tuple(self.site.url(node) for node in self.site.nodes)
        return Client(name, self.site.http, self.recording, urls, random.Random(self.rng.random()))

    def name(self, of: str) -> str:
        """A name that nobody else uses."""
        return f"{of}-{next(self._names)}"

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the work."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    async def insist(
        self, client: Client, process: str, key: str, value: dict[str, Any], **options: Any
    ) -> Answered:
        """Submit with one key until it is accepted or tried often; the last answer."""
        for tries in range(_TRIES_MAX):
            answered = await client.submit(process, key, value, **options)
            if happened(answered) or self.stopping.is_set():
                break
            await self.pause(client.rng.uniform(*_PAUSE_S) * (1 + tries))
        return answered


class Workload(Protocol):
    """One kind of work."""

    name: str

    def processes(self) -> Mapping[str, str]:
        """Name and text of each process that it needs."""

    def declared(self) -> Mapping[str, DeclaredProcess]:
        """What the checks may rely on, by the same names."""

    def demands(self, minutes: float) -> Mapping[str, int]:
        """What a run of so many minutes has to show of it at least."""

    async def run(self, scene: Scene) -> None:
        """Ask until `scene.stopping`."""


def head(process: str, *, options: str = "", trigger: str = "{type: manual}") -> str:
    """The first lines of a process."""
    told = f"options: {options}\n" if options else ""
    return f"molecule: 1\nprocess: {process}\nowner: chaos@example.com\ntrigger: {trigger}\n{told}"


def keyed(step: str) -> str:
    """A step that may be repeated, for the target takes its key."""
    return f"""  - id: {step}
    type: http.request
    connection: target
    method: POST
    path: "/keyed/{step}/${{name}}"
    effect: idempotent
    timeout: {STEP_TIMEOUT_S}s
    output: keep
"""


def once(step: str) -> str:
    """A step that is never repeated, and that can be asked about."""
    return f"""  - id: {step}
    type: http.request
    connection: target
    method: POST
    path: "/plain/{step}/${{name}}"
    effect: once
    timeout: {STEP_TIMEOUT_S}s
    output: keep
    verify:
      steps:
        - id: ask_{step}
          type: http.request
          connection: target
          path: "/plain/{step}/${{name}}"
          timeout: {STEP_TIMEOUT_S}s
      done_if: status = 200
      not_done_if: status = 404
"""


def declared_keyed(*steps: str) -> tuple[DeclaredStep, ...]:
    """`keyed` steps as the checks know them."""
    return tuple(
        DeclaredStep(step=step, effect=Effect.IDEMPOTENT, takes_key=True) for step in steps
    )


def declared_once(*steps: str) -> tuple[DeclaredStep, ...]:
    """`once` steps as the checks know them."""
    return tuple(DeclaredStep(step=step, effect=Effect.ONCE) for step in steps)


def repository(
    workloads: Iterable[Workload], *, target: str, edition: int = 0, triggers_on: bool = True
) -> dict[str, str]:
    """The files of all workloads; `edition` makes new versions of the same processes."""
    processes = {
        name: text for workload in workloads for name, text in workload.processes().items()
    }
    scheduled = [name for name, text in processes.items() if "type: schedule" in text]
    switch = "on" if triggers_on else "off"
    environment = {
        "environment": ENVIRONMENT,
        "connections": {"target": {"base_url": target}},
        "triggers": dict.fromkeys(scheduled, switch),
    }
    note = f"  - {{id: edition, type: log, message: edition {edition}}}\n"
    files = {
        f"processes/{name}.yaml": text.replace("steps:\n", f"steps:\n{note}", 1)
        for name, text in processes.items()
    }
    files["connections/target.yaml"] = "connection: target\nconnector: http\n"
    files[f"environments/{ENVIRONMENT}.yaml"] = json.dumps(environment)
    return files
