"""W3: how long the cluster is without an answer, and work without a worker, after a death.

Each sample is one `kill -9` of a healthy cluster. Nobody reports the death of a whole node, because
its supervisor dies too; that of a node process alone is reported by its supervisor.
"""

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.bench import machine
from tests.bench.figures import Figures, Goal, Scale
from tests.bench.https import Caller, post
from tests.bench.site import Disturbed, Site

_HELD: Final = 6
_WITHIN_S: Final = 30.0
_names = itertools.count(1)

ACCEPTED: Final = Goal(
    "W3", "leader's node killed, next accepted submission", "ms", 300, worst=1_000
)
LEADERS_WORK: Final = Goal("W3", "leader's node killed, its work runs elsewhere", "ms", worst=5_500)
NODES_WORK: Final = Goal("W3", "another node killed, its work runs elsewhere", "ms", worst=4_000)
KNOWN_DEAD: Final = Goal(
    "W3", "a node process killed, its work runs elsewhere", "ms", 500, worst=2_000
)


async def w3(site: Site, figures: Figures, scale: Scale) -> None:
    """So many deaths of each kind."""
    for _ in range(scale.kills):
        await _leader_dies(site, figures)
    for _ in range(scale.kills):
        victim = (await site.followers())[0]
        _, moved_ms = await _dies(site, victim, partial(site.kill, victim))
        figures.note(NODES_WORK, moved_ms, load_average=machine.load_average())
    for _ in range(scale.kills):
        victim = (await site.followers())[0]
        _, moved_ms = await _dies(
            site, victim, partial(site.kill_role, victim, "node"), is_whole=False
        )
        figures.note(KNOWN_DEAD, moved_ms, load_average=machine.load_average())


async def _leader_dies(site: Site, figures: Figures) -> None:
    leader, survivor = await site.leader(), (await site.followers())[0]
    context = ssl.create_default_context(cafile=str(site.local.place.ca))
    address = site.nodes[survivor].http
    caller = await Caller.connect(address, context)
    body = json.dumps({"process": "noop", "input": {}}).encode()
    request = post("/api/v1/executions", body, address=address, token=site.local.place.token)
    asked: list[asyncio.Task[float]] = []

    async def accepted() -> float:
        status, answer = await caller.call(request)
        if status != 202:
            raise Disturbed(f"{status}: {answer[:300]!r}")
        return time.monotonic()

    def strike() -> None:
        site.kill(leader)
        asked.append(asyncio.ensure_future(accepted()))

    began, moved_ms = await _dies(site, leader, strike)
    accepted_ms = (await asked[0] - began) * 1_000
    await caller.close()
    figures.note(ACCEPTED, accepted_ms, load_average=machine.load_average())
    figures.note(LEADERS_WORK, moved_ms, load_average=machine.load_average())


async def _dies(
    site: Site, victim: str, strike: Callable[[], None], *, is_whole: bool = True
) -> tuple[float, float]:
    """When it was struck, and how long until the last of its executions ran elsewhere, in ms."""
    names, mine = await _give_work(site, victim)
    began = time.monotonic()
    strike()
    moved = await site.target.calls(mine, 2, within_s=_WITHIN_S)
    for name in names:
        site.target.release(name)
    if is_whole:
        await site.until_gone(victim)
    await site.until_calm()
    return began, (moved - began) * 1_000


async def _give_work(site: Site, victim: str) -> tuple[list[str], list[str]]:
    """Executions that stand at the target; all names, and those of the victim's own."""
    names = [f"held{next(_names)}" for _ in range(_HELD)]
    executions = {}
    for name in names:
        body = {"process": "held", "input": {"name": name}}
        answer = await site.post(victim, "/executions", body)
        executions[name] = answer["execution"]
    await site.target.calls(names, 1, within_s=_WITHIN_S)
    mine = []
    for name, execution in executions.items():
        shown = (await site.get(victim, f"/api/v1/executions/{execution}")).json()
        if shown["node"] == victim:
            mine.append(name)
    if not mine:
        raise Disturbed(f"none of {len(names)} executions was given to {victim}")
    return names, mine
