"""W5: what three nodes take while nobody asks anything of them."""

import asyncio
from collections import Counter
from typing import Final

from tests.bench import machine
from tests.bench.figures import Figures, Goal, Scale
from tests.bench.site import Site

MEMORY: Final = Goal("W5", "three idle nodes with a worker each, sum of PSS", "MB", 450)
CPU: Final = Goal("W5", "three idle nodes, CPU", "% of a core", 5)


async def w5(site: Site, figures: Figures, scale: Scale) -> None:
    """Some work first, so that everything that starts on demand has been started."""
    seconds = 10.0 if scale.is_quick else 30.0
    await site.load("callers", callers=12, seconds=1.0)
    await asyncio.sleep(5.0)
    roles = site.pids()
    before = machine.cpu_seconds(roles)
    await asyncio.sleep(seconds)
    after = machine.cpu_seconds(roles)
    spent = {role: round((after[role] - before[role]) / seconds * 100, 2) for role in after}
    memory: Counter[str] = Counter()
    for pid, role in roles.items():
        memory[role] += round(machine.pss_mb(pid))
    figures.note(MEMORY, sum(memory.values()), by_role=dict(memory), processes=len(roles))
    figures.note(CPU, sum(spent.values()), by_role=spent, load_average=machine.load_average())
