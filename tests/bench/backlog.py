"""W4: a deep backlog. Memory of a voter, its restart, stalls of its loop, and how fast it drains.

All keys are blocked by one execution in doubt each while the backlog is filled. Then a few keys are
freed, while the others stay blocked, and then all. The same with a small backlog on the same
cluster, first, is the rate to compare with.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Final

from tests.bench import machine
from tests.bench.figures import Figures, Goal, Scale
from tests.bench.processes import BACKLOG_PROCESSES, backlog_name
from tests.bench.site import Disturbed, Site

_FREE_KEYS: Final = 10
_KEYS: Final = 1_000
_KEYS_QUICK: Final = 200
_LAG: Final = re.compile(r'molecule_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)')

FILL: Final = Goal("W4", "backlog accepted, batches of 100 with keys", "executions/s")
VOTER: Final = Goal("W4", "node process of a voter, PSS, largest", "MB", 300)
RESTART: Final = Goal("W4", "a voter killed and started again, ready", "s", 10)
FEW: Final = Goal("W4", "10 of 1,000 keys free, part of an empty cluster's rate", "%", 80, True)
ALL: Final = Goal("W4", "all keys free, part of an empty cluster's rate", "%", 80, True)
LAST: Final = Goal("W4", "last tenth of the drain, part of an empty cluster's rate", "%", 80, True)
DRAIN: Final = Goal("W4", "drain, first to last", "executions/s")
STALLS: Final = Goal("W4", "stalls of a node's loop over 50 ms", "stalls", 0)


async def w4(site: Site, figures: Figures, scale: Scale) -> None:
    """One run."""
    keys = _KEYS_QUICK if scale.is_quick else _KEYS
    few_alone, all_alone = await _drained(site, keys, max(scale.pending // 20, 2 * keys), None)
    before = await _stalls(site)
    few, whole = await _drained(site, keys, scale.pending, figures)
    figures.note(FEW, few.rate / few_alone.rate * 100, rate=round(few.rate))
    figures.note(ALL, whole.rate / all_alone.rate * 100, empty_rate=round(all_alone.rate))
    figures.note(LAST, whole.last_tenth / all_alone.rate * 100)
    figures.note(DRAIN, whole.rate, load_average=machine.load_average())
    after = await _stalls(site)
    # The voter that was started again counts from there.
    seen = {node: count - before[node] for node, count in after.items() if count >= before[node]}
    figures.note(STALLS, sum(seen.values()), load_average=machine.load_average())


@dataclass(frozen=True, slots=True)
class _Drain:
    rate: float
    last_tenth: float


async def _drained(
    site: Site, keys: int, pending: int, figures: Figures | None
) -> tuple[_Drain, _Drain]:
    """Fill and drain: first the few keys alone, then all."""
    blockers = await _block(site, keys)
    used = await site.load("fill", callers=8, count=pending, keys=keys)
    if figures is not None:
        figures.note(FILL, used.rate, cpu_us_each=used.us_each())
        await _note_size(site, figures, pending)
    free = {key: found for key, found in blockers.items() if int(key[3:]) < _FREE_KEYS}
    share = pending * _FREE_KEYS // keys
    few = await _free(site, free, share)
    rest = {key: found for key, found in blockers.items() if key not in free}
    return few, await _free(site, rest, pending - share)


async def _note_size(site: Site, figures: Figures, pending: int) -> None:
    found = [machine.pss_mb(pid) for pid, role in site.pids().items() if role == "node"]
    figures.note(VOTER, max(found), pending=pending, nodes=[round(each) for each in found])
    victim = (await site.followers())[0]
    site.kill(victim)
    await site.until_gone(victim)
    began = time.monotonic()
    await site.start(victim)
    figures.note(RESTART, time.monotonic() - began, pending=pending)
    await site.until_calm()


async def _block(site: Site, keys: int) -> dict[str, str]:
    """One execution in doubt per key; the executions by key."""
    node = next(iter(site.nodes))
    found = {}
    for number in range(BACKLOG_PROCESSES):
        mine = [f"key{key}" for key in range(number, keys, BACKLOG_PROCESSES)]
        body = {
            "process": backlog_name(number),
            "submissions": [{"input": {"key": key, "blocks": True}} for key in mine],
        }
        answer = await site.post(node, "/executions:batch", body, wait="30s")
        for key, result in zip(mine, answer["results"], strict=True):
            if result["state"] != "IN_DOUBT":
                raise Disturbed(f"{key} is not blocked: {result}")
            found[key] = result["execution"]
    return found


async def _free(site: Site, blockers: dict[str, str], count: int) -> _Drain:
    """Answer for what blocks these keys, and wait until `count` executions behind them ended."""
    node = await site.leader()
    ended_before = await _ended(site) + len(blockers)
    left = iter(blockers.values())

    async def answer() -> None:
        for execution in left:
            body = {"all": "done"}
            await site.post(node, f"/executions/{execution}/resolve", body)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(answer())
    points = [(began, 0)]
    while points[-1][1] < count:
        await asyncio.sleep(0.2)
        points.append((time.monotonic(), await _ended(site) - ended_before))
        if points[-1][0] - began > 900:
            raise Disturbed(f"the backlog does not drain: {points[-1][1]} of {count}")
    last = next(point for point in points if point[1] >= count * 0.9)
    seconds = points[-1][0] - last[0]
    rate = count / (points[-1][0] - began)
    return _Drain(rate, (points[-1][1] - last[1]) / seconds if seconds else rate)


async def _ended(site: Site) -> int:
    status = await site.status(site.nodes[await site.leader()])
    law = status["conservation"]
    return int(law["completed"] + law["failed"] + law["cancelled"])


async def _stalls(site: Site) -> dict[str, int]:
    """How often each node's loop was late by more than 50 ms since its start."""
    found = {}
    for node in site.nodes:
        text = (await site.get(node, "/metrics")).text
        buckets = {bound: float(count) for bound, count in _LAG.findall(text)}
        found[node] = int(buckets["+Inf"] - buckets["0.05"]) if buckets else 0
    return found
