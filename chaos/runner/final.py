"""What is read when all is quiet: what every node tells by its API.

Only what was seen is written down. What must stay true: nothing is asked for while work is still
under way, for answers of different nodes are compared.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

from chaos import records as r
from chaos.runner.recording import Recording
from chaos.runner.site import Site
from chaos.workloads import ticks
from molecule.cli.waiting import NotInTime, until
from molecule.model.execution import ExecutionState

DRAINED_WITHIN_S: Final = 180.0
_AT_ONCE: Final = 6
_PAGE: Final = "500"
_TRIES: Final = 20
_TICK_MS: Final = 1_000
_T = TypeVar("_T")


async def drained(site: Site) -> bool:
    """Wait until no node knows of anything that is still to do; False when it takes too long."""

    async def look() -> bool | None:
        for node in site.nodes:
            status = await site.get(node, "/api/v1/cluster")
            if status is None or status["conservation"]["active"]:
                return None
        return True

    try:
        return await until(look, what="the backlog to drain", within_s=DRAINED_WITHIN_S)
    except NotInTime:
        return False


async def read_all(site: Site, recording: Recording) -> None:
    """Probes, states, books and timelines, as every node tells them."""
    stories: dict[str, dict[str, Any]] = {}
    for node in site.nodes:
        status = await _insisted(partial(site.get, node, "/api/v1/cluster"))
        if status is None:
            recording.add(r.Probed, node=node, answered=False)
            continue
        law = status["conservation"]
        recording.add(r.Probed, node=node, answered=True, backlog=law["active"])
        recording.add(
            r.Books,
            node=node,
            **{name: law[name] for name in r.Books.model_fields if name in law},
        )
        for shown in await _shown(site, node):
            stories.setdefault(shown["id"], shown)
            recording.add(r.Ending, **_ending(node, shown))
    await _timelines(site, recording, list(stories))
    _schedules(recording, stories.values())


def _ending(node: str, shown: dict[str, Any]) -> dict[str, Any]:
    key = shown["idempotency_key"]
    schedule, _, nominal = key.rpartition("/schedule/")
    return {
        "node": node,
        "execution": shown["id"],
        "process": shown["process"],
        "state": ExecutionState(shown["state"]),
        "reason": shown["reason"],
        "idempotency_key": key,
        "order_key": shown["concurrency_key"],
        "origin": shown["origin"],
        "schedule": schedule,
        "nominal_at_ms": int(nominal) if schedule else None,
    }


def _schedules(recording: Recording, stories: Iterable[dict[str, Any]]) -> None:
    """Each second from the first that fired to the last is due."""
    times: dict[str, list[int]] = {}
    for shown in stories:
        if shown["process"] == ticks.PROCESS:
            schedule, _, nominal = shown["idempotency_key"].rpartition("/schedule/")
            times.setdefault(schedule, []).append(int(nominal))
    for schedule, found in times.items():
        due = tuple(range(min(found), max(found) + 1, _TICK_MS))
        recording.add(r.Due, schedule=schedule, nominal_at_ms=due)


async def _shown(site: Site, node: str) -> list[dict[str, Any]]:
    listed = await _pages(site, node, "/api/v1/executions")
    names = [row["id"] for row in listed]
    return await _each(
        names, lambda name: _insisted(partial(site.get, node, f"/api/v1/executions/{name}"))
    )


async def _timelines(site: Site, recording: Recording, executions: list[str]) -> None:
    """Of each execution from one node, and from another one to compare with."""

    async def read(execution: str) -> None:
        first = zlib.crc32(execution.encode()) % len(site.nodes)
        for node in (site.nodes[first], site.nodes[first - 1]):
            rows = await _pages(site, node, f"/api/v1/executions/{execution}/timeline")
            recording.add(
                r.Timeline,
                node=node,
                execution=execution,
                rows=tuple(
                    r.TimelineRow(
                        **{name: row[name] for name in r.TimelineRow.model_fields if name in row}
                    )
                    for row in rows
                ),
            )

    await _each(executions, read)


async def _pages(site: Site, node: str, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        query = {"limit": _PAGE, **({"cursor": cursor} if cursor else {})}
        page = await _insisted(partial(site.get, node, path, **query))
        if page is None:
            raise RuntimeError(f"{node} does not tell {path}")
        found += page["items"]
        cursor = page["next"] or ""
        if not cursor:
            return found


async def _insisted(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer; None when none came after many tries."""
    for _ in range(_TRIES):
        told = await ask()
        if told is not None:
            return told
        await asyncio.sleep(0.2)
    return None


async def _each(items: list[str], do: Callable[[str], Awaitable[_T]]) -> list[_T]:
    """The results in the order of the items, a few at the same time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: str) -> _T:
        async with gate:
            return await do(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]
