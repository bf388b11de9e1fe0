"""Asking the cluster over HTTPS: every address of a context, each answer believed or not.

What must stay true: whatever a node or something in its place answers, nothing raises; what is not
JSON, or no object, is no answer.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from molecule.chaos.history import Recording
from molecule.chaos.records import Answered, Invoked, Outcome
from molecule.cli.context import Context
from molecule.model.execution import ExecutionState

_ASK_S: Final = 5.0
_SUBMIT_S: Final = 2.0
"""Clients give up after so long, and the outcome is unknown to them."""

_NOTHING_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Work:
    """What clients submit."""

    process: str
    environment: str
    value: Any = None


@dataclass(slots=True)
class Site:
    """The cluster, as its addresses tell it."""

    urls: tuple[str, ...]
    http: httpx2.AsyncClient

    async def get(self, url: str, path: str, **query: str) -> dict[str, Any] | None:
        """What an address answers; None when it does not, or not with success and an object."""
        try:
            answer = await self.http.get(f"{url}{path}", params=query)
        except httpx2.TransportError:
            return None
        return told(answer) if answer.is_success else None

    async def first(self, path: str, **query: str) -> dict[str, Any] | None:
        """What the first address that has an answer tells."""
        for url in self.urls:
            found = await self.get(url, path, **query)
            if found is not None:
                return found
        return None

    async def status(self) -> dict[str, Any] | None:
        """The cluster as it is now: told by an address that hears the leader."""
        return await self.first("/api/v1/cluster", fresh="true")

    async def nodes(self) -> dict[str, dict[str, Any]]:
        """What the cluster knows of each node now; empty when nobody can tell."""
        status = await self.status() or {}
        rows = status.get("nodes")
        if not isinstance(rows, list):
            return {}
        return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}

    async def is_ready(self, url: str) -> bool:
        """It answers and takes work, or is drained by a person and in order otherwise."""
        try:
            answer = await self.http.get(f"{url}/readyz")
        except httpx2.TransportError:
            return False
        found = told(answer)
        return found is not None and (answer.is_success or found.get("draining") is True)


def client(context: Context) -> httpx2.AsyncClient:
    """A client that trusts the context's authority and carries its token."""
    token = context.token()
    return httpx2.AsyncClient(
        verify=context.trust(),
        timeout=_ASK_S,
        trust_env=False,
        headers={"authorization": f"Bearer {token}"} if token else {},
    )


def told(answer: httpx2.Response) -> dict[str, Any] | None:
    """The object that an answer holds; None when it holds none."""
    try:
        value = answer.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def submit(
    site: Site, recording: Recording, work: Work, *, client: str, url: str, key: str
) -> Answered:
    """Submit once at an address, and write down what was asked and what became of it."""
    operation = recording.next_operation()
    recording.add(Invoked, operation=operation, client=client, url=url, idempotency_key=key)

    async def send() -> httpx2.Response:
        return await site.http.post(
            f"{url}/api/v1/executions",
            json={"process": work.process, "environment": work.environment, "input": work.value},
            headers={"idempotency-key": key},
            timeout=_SUBMIT_S,
        )

    facts: dict[str, Any] = {"outcome": Outcome.UNKNOWN, "code": "abandoned"}
    try:
        facts = await outcome(send)
    finally:
        # Also when whoever asks is cancelled: a request without an answer is unknown.
        answered = recording.add(Answered, operation=operation, **facts)
    return answered


async def outcome(send: Callable[[], Awaitable[httpx2.Response]]) -> dict[str, Any]:
    """What a client knows of a submission after it: fields of `Answered`."""
    try:
        answer = await send()
    except _NOTHING_SENT as error:
        return {"outcome": Outcome.REFUSED, "code": type(error).__name__}
    except httpx2.TransportError as error:
        return {"outcome": Outcome.UNKNOWN, "code": type(error).__name__}
    found = told(answer)
    if found is None:
        return {"outcome": Outcome.UNKNOWN, "code": "not an answer of Molecule"}
    if answer.is_success:
        execution = found.get("execution")
        if not isinstance(execution, str) or not execution or state_of(found) is None:
            return {"outcome": Outcome.UNKNOWN, "code": "not an answer of Molecule"}
        return {"outcome": Outcome.OK, "execution": execution}
    code = str(found.get("code") or f"status {answer.status_code}")
    is_definite = found.get("definite") is True
    return {"outcome": Outcome.REFUSED if is_definite else Outcome.UNKNOWN, "code": code}


def state_of(found: dict[str, Any]) -> ExecutionState | None:
    """The state that an answer tells; None when it tells none that exists."""
    try:
        return ExecutionState(str(found.get("state")))
    except ValueError:
        return None


@dataclass(slots=True)
class Clients:
    """Submit until they are told to stop: a few at once, each insisting with one key."""

    site: Site
    recording: Recording
    work: Work
    stopping: asyncio.Event
    count: int = 3
    pause_s: float = 0.2
    tries_max: int = 8
    _run: str = field(default_factory=lambda: secrets.token_hex(6))

    async def work_on(self) -> None:
        """All clients."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self.count + 1):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        made = 0
        while not self.stopping.is_set():
            made += 1
            key = f"chaos-{self._run}-{number}-{made}"
            for attempt in range(self.tries_max):
                # Each time another address, so that one node that is down holds nobody up.
                url = self.site.urls[(number + made + attempt) % len(self.site.urls)]
                answered = await submit(
                    self.site, self.recording, self.work, client=f"c{number}", url=url, key=key
                )
                await self._pause()
                if answered.outcome is Outcome.OK or self.stopping.is_set():
                    break

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self.pause_s):
                await self.stopping.wait()
        except TimeoutError:
            return
