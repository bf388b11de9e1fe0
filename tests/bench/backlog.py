"""W4: a deep backlog. Memory of a voter, its restart, stalls of its loop, and how fast it drains.

All keys are blocked by one execution in doubt each while the backlog is filled. Then a few keys are
freed, while the others stay blocked, and then all. What a small backlog of the same executions does
on the same cluster before, held by pauses, is the rate to compare with.
"""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from tests.bench import machine
from tests.bench.figures import Figures, Goal, Scale
from tests.bench.processes import BACKLOG_PROCESSES, ENVIRONMENT, backlog_name
from tests.bench.site import Disturbed, Site

_FREE_KEYS: Final = 10
_KEYS: Final = 1_000
_KEYS_QUICK: Final = 200
_PART: Final = 0.1
_LOOK_S: Final = 0.5
_DRAIN_S_MAX: Final = 420.0
"""A slower machine drains only a part of the backlog; what it does then is told beside."""
_LAG: Final = re.compile(r'molecule_loop_(lag|stall)_seconds_bucket\{le="([^"]+)"\} (\S+)')

FILL: Final = Goal("W4", "backlog accepted, batches of 100 with keys", "executions/s")
VOTER: Final = Goal("W4", "node process of a voter, PSS, largest", "MB", 300)
RESTART: Final = Goal("W4", "a voter killed and started again, ready", "s", 10)
FEW: Final = Goal("W4", "10 of 1,000 keys free, part of an empty cluster's rate", "%", 80, True)
ALL: Final = Goal("W4", "all keys free, part of an empty cluster's rate", "%", 80, True)
SLOWEST: Final = Goal("W4", "slowest tenth of the drain, part of that rate", "%", 80, True)
LAST: Final = Goal("W4", "last tenth of the drain, part of that rate", "%", 80, True)
CPU: Final = Goal(
    "W4", "processor time per execution drained, part of an empty cluster's", "%", 125
)
DRAIN: Final = Goal("W4", "drain, first to last", "executions/s")
STALLS: Final = Goal("W4", "stalls of a node's loop over 50 ms", "stalls", 0)


@dataclass(frozen=True, slots=True)
class _Point:
    """A moment of a drain: how many have ended, how many wait or run, and the CPU time of all."""

    at_s: float
    ended: int
    left: int
    cpu_s: Counter[str]
    """By role."""


@dataclass(frozen=True, slots=True)
class _Drain:
    """Moments of a drain, in order; the first is its beginning."""

    points: tuple[_Point, ...]

    @property
    def ended(self) -> int:
        """How many executions it ended."""
        return self.points[-1].ended - self.points[0].ended

    @property
    def rate(self) -> float:
        """Executions per second."""
        return self.ended / (self.points[-1].at_s - self.points[0].at_s)

    @property
    def cpu_us_each(self) -> float:
        """Processor time per execution, of all processes of the cluster."""
        return sum(self.us_each().values())

    def us_each(self) -> dict[str, int]:
        """The same by role."""
        spent = self.points[-1].cpu_s - self.points[0].cpu_s
        return {
            role: round(seconds * 1e6 / max(self.ended, 1))
            for role, seconds in sorted(spent.items())
        }

    def parts(self) -> "list[_Drain]":
        """About tenths, one after the other."""
        found, first = [], 0
        for place, point in enumerate(self.points):
            if point.ended - self.points[first].ended >= self.ended * _PART:
                found.append(_Drain(self.points[first : place + 1]))
                first = place
        return found


async def w4(site: Site, figures: Figures, scale: Scale) -> None:
    """One run."""
    keys = _KEYS_QUICK if scale.is_quick else _KEYS
    few_alone = await _small(site, keys=_FREE_KEYS, pending=max(scale.pending // 200, 200))
    all_alone = await _small(site, keys=keys, pending=max(scale.pending // 10, 2 * keys))
    before = await _late(site)
    blockers = await _block(site, keys)
    used = await site.load("fill", callers=8, count=scale.pending, keys=keys)
    figures.note(FILL, used.rate, cpu_us_each=used.us_each())
    await _note_size(site, figures, scale.pending)

    free = {key: found for key, found in blockers.items() if int(key[3:]) < _FREE_KEYS}
    behind = scale.pending * _FREE_KEYS // keys
    await _answer(site, free)
    few = await _drain(site, scale.pending - behind)
    figures.note(FEW, few.rate / few_alone.rate * 100, **_beside(few, few_alone))
    await _answer(site, {key: found for key, found in blockers.items() if key not in free})
    whole = await _drain(site, 0)
    _note_drain(figures, whole, all_alone)
    _note_stalls(figures, before, await _late(site))


def _note_drain(figures: Figures, whole: _Drain, alone: _Drain) -> None:
    figures.note(ALL, whole.rate / alone.rate * 100, **_beside(whole, alone))
    rates = [part.rate / alone.rate * 100 for part in whole.parts()]
    figures.note(SLOWEST, min(rates), parts=[round(rate) for rate in rates])
    left = whole.points[-1].left
    if not left:
        figures.note(LAST, rates[-1])
    cpu = [part.cpu_us_each / alone.cpu_us_each * 100 for part in whole.parts()]
    figures.note(
        CPU, whole.cpu_us_each / alone.cpu_us_each * 100, parts=[round(share) for share in cpu]
    )
    load = machine.load_average()
    figures.note(DRAIN, whole.rate, drained=whole.ended, left=left, load_average=load)


def _beside(drain: _Drain, alone: _Drain) -> dict[str, Any]:
    return {
        "rate": round(drain.rate),
        "empty_rate": round(alone.rate),
        "cpu_us_each": drain.us_each(),
        "empty_cpu_us_each": alone.us_each(),
    }


def _note_stalls(
    figures: Figures, before: dict[str, Counter[str]], after: dict[str, Counter[str]]
) -> None:
    """`stall`: the loop was late although the machine had a processor for it; `lag`: late at all.

    The voter that was started again counts from there.
    """
    seen = Counter[str]()
    for node, counts in after.items():
        began = before[node] if counts["turns"] >= before[node]["turns"] else Counter[str]()
        seen.update({kind: counts[kind] - began[kind] for kind in ("lag", "stall")})
    figures.note(
        STALLS, seen["stall"], late_in_all=seen["lag"], load_average=machine.load_average()
    )


async def _small(site: Site, *, keys: int, pending: int) -> _Drain:
    """How a small backlog drains when nothing else is there."""
    await _pause(site, "pause")
    await site.load("fill", callers=8, count=pending, keys=keys)
    await _pause(site, "resume")
    return await _drain(site, 0)


async def _pause(site: Site, verb: str) -> None:
    node, body = await site.leader(), {"environment": ENVIRONMENT, "reason": "bench"}
    for number in range(BACKLOG_PROCESSES):
        await site.post(node, f"/processes/{backlog_name(number)}/{verb}", body)


async def _drain(site: Site, left: int) -> _Drain:
    """Watch until no more than so many executions wait or run, or the time is over."""
    leader, roles = await site.leader(), site.pids()

    async def look() -> _Point:
        status = await site.status(site.nodes[leader])
        if not status["leader"]:
            raise Disturbed(f"{leader} does not tell how many have ended")
        law, counts = status["conservation"], status["counts"]
        ended = int(law["completed"] + law["failed"] + law["cancelled"])
        waiting = int(counts["PENDING"] + counts["ASSIGNED"])
        return _Point(time.monotonic(), ended, waiting, machine.cpu_seconds(roles))

    points = [await look()]
    while points[-1].left > left:
        await asyncio.sleep(_LOOK_S)
        points.append(await look())
        if points[-1].at_s - points[0].at_s > _DRAIN_S_MAX:
            break
    if len(points) == 1 or points[-1].ended == points[0].ended:
        raise Disturbed("the backlog does not drain")
    return _Drain(tuple(points))


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


async def _answer(site: Site, blockers: dict[str, str]) -> None:
    """Say of what blocks these keys that it is done."""
    node = await site.leader()
    left = iter(blockers.values())

    async def one() -> None:
        for execution in left:
            await site.post(node, f"/executions/{execution}/resolve", {"all": "done"})

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(one())


async def _late(site: Site) -> dict[str, Counter[str]]:
    """How often each node's loop was late by more than 50 ms since its start, and its turns."""
    found = {}
    for node in site.nodes:
        buckets: dict[str, dict[str, int]] = {"lag": {}, "stall": {}}
        for kind, bound, count in _LAG.findall((await site.get(node, "/metrics")).text):
            buckets[kind][bound] = int(float(count))
        late = {kind: counts["+Inf"] - counts["0.05"] for kind, counts in buckets.items()}
        found[node] = Counter({"turns": buckets["lag"]["+Inf"], **late})
    return found
