"""What is read when all is quiet: what every address tells of submissions, nodes and books.

Only what was seen is written down. What must stay true: it comes to its end in bounded time, also
when something is stuck or silent; that is what the judge must see then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from molecule.chaos import asking
from molecule.chaos.asking import Site
from molecule.chaos.history import History, Recording
from molecule.chaos.records import SIDES, Books, Ending, KeyRead, NodeSeen, Probed
from molecule.model.execution import ACTIVE, ExecutionState

ENDED_WITHIN_S: Final = 120.0
_AT_ONCE: Final = 8
_LOOK_S: Final = 0.2
_PROBE_WITHIN_S: Final = 60.0


async def read_all(
    site: Site, recording: Recording, nodes: tuple[str, ...], *, ended_within_s: float
) -> None:
    """Probes, nodes, states of everything that was acknowledged, keys, books."""
    for url in site.urls:
        answered = await _probed(site, url)
        recording.add(Probed, url=url, answered=answered)
    await _nodes(site, recording, nodes)
    history = History(recording.records)
    executions = sorted(set().union(*history.acknowledged.values()))
    keys = dict.fromkeys(one.invoked.idempotency_key for one in history.operations)
    answering = [
        record.url for record in recording.records if isinstance(record, Probed) and record.answered
    ]
    deadline_s = time.monotonic() + ended_within_s

    async def ending(url: str, execution: str) -> None:
        recording.add(Ending, **await _ended(site, url, execution, deadline_s))

    async def key(named: str) -> None:
        found = await _insisted(lambda: site.first("/api/v1/executions", key=named))
        if found is not None and isinstance(found.get("items"), list):
            names = tuple(str(row["id"]) for row in found["items"] if _has_id(row))
            recording.add(KeyRead, idempotency_key=named, executions=names)

    for url in answering:
        await _each(ending(url, execution) for execution in executions)
    await _each(key(named) for named in keys)
    for url in answering:
        law = await _law(site, url)
        if law is not None:
            recording.add(Books, url=url, **law)


async def _probed(site: Site, url: str) -> bool:
    end_s = time.monotonic() + _PROBE_WITHIN_S
    while not await site.is_ready(url):
        if time.monotonic() > end_s:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


async def _nodes(site: Site, recording: Recording, nodes: tuple[str, ...]) -> None:
    """Each node that was there at the beginning; those that left on purpose are down, too."""
    rows = await _insisted(lambda: _rows_up(site, nodes)) or await site.nodes()
    for node in nodes:
        if node in rows:
            recording.add(NodeSeen, node=node, up=rows[node].get("up") is True)
        elif rows:
            recording.add(NodeSeen, node=node, up=False)


async def _rows_up(site: Site, nodes: tuple[str, ...]) -> dict[str, Any] | None:
    rows = await site.nodes()
    return rows if all(rows.get(node, {}).get("up") is True for node in nodes) else None


async def _ended(site: Site, url: str, execution: str, deadline_s: float) -> dict[str, Any]:
    """How an address tells an execution, once it is active no more or time is over."""
    state: ExecutionState | None = None
    reason = ""
    while True:
        found = await site.get(url, f"/api/v1/executions/{execution}")
        known = asking.state_of(found or {})
        if found is not None and known is not None:
            state, reason = known, str(found.get("reason", ""))
        if (state is not None and state not in ACTIVE) or time.monotonic() > deadline_s:
            return {"url": url, "execution": execution, "state": state, "reason": reason}
        await asyncio.sleep(_LOOK_S)


async def _law(site: Site, url: str) -> dict[str, int] | None:
    """Both sides of the conservation law; None when the address tells them not, or not whole."""
    status = await _insisted(lambda: site.get(url, "/api/v1/cluster"))
    law = (status or {}).get("conservation")
    names = ("accepted", *SIDES)
    if not isinstance(law, dict) or not all(isinstance(law.get(name), int) for name in names):
        return None
    return {name: law[name] for name in names}


async def _insisted(ask: Callable[[], Awaitable[Any]], *, tries: int = 50) -> Any:
    """The first answer; None when none came after many tries."""
    for _ in range(tries):
        found = await ask()
        if found is not None:
            return found
        await asyncio.sleep(_LOOK_S)
    return None


async def _each(asked: Iterable[Awaitable[None]]) -> None:
    """All of them, a few at the same time."""
    waiting = iter(asked)

    async def one_after_the_other() -> None:
        for each in waiting:
            await each

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_the_other())


def _has_id(row: Any) -> bool:
    return isinstance(row, dict) and "id" in row
