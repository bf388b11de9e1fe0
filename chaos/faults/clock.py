"""The wall clock of a node jumps, or runs too fast, while it works; later it is right again.

What confirms it is how often the node's processes read it meanwhile, and what they were told.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner import clocks
from chaos.runner.site import Need, Site
from molecule.cli.waiting import NotInTime, until

_SEEN_WITHIN_S: Final = 10.0
_SECONDS: Final = (3.0, 8.0)
_HOUR_NS: Final = 3_600 * 10**9
_DAY_NS: Final = 24 * _HOUR_NS
_TENTH_PPM: Final = 100_000
_MOVES: Final = ((-_HOUR_NS, 0), (_DAY_NS, 0), (0, _TENTH_PPM), (0, -_TENTH_PPM))


@dataclass(slots=True)
class Moved:
    """What time it is at a node is nobody else's opinion."""

    nodes: tuple[str, ...]
    offset_ns: int
    drift_ppm: int
    seconds: float
    unseats: bool = False
    """A leader whose clock is off hands over when the others have told it theirs; it need not."""
    kind: str = "clock"
    seen_within_s: float = _SEEN_WITHIN_S
    _before: int = 0

    async def begin(self, site: Site) -> None:
        """Between two readings."""
        clock = site.clocks[self.nodes[0]]
        self._before = clock.reads()
        clock.move(offset_ns=self.offset_ns, drift_ppm=self.drift_ppm)

    async def confirm(self, site: Site) -> dict[str, Any]:
        """It was read, and told another time."""
        clock = site.clocks[self.nodes[0]]

        async def look() -> int | None:
            return clock.reads() - self._before or None

        try:
            await until(look, what="somebody who reads the clock", within_s=self.seen_within_s)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        return {
            "reads": clock.reads() - self._before,
            "told_off_by_ms": clock.told_off_by_ns() // 10**6,
        }

    async def end(self, site: Site) -> None:
        """It jumps back."""
        site.clocks[self.nodes[0]].right()
        await site.ready(*self.nodes)


def _moved(rng: random.Random, nodes: tuple[str, ...], _aim: Aim) -> Fault:
    return Moved(nodes, *rng.choice(_MOVES), rng.choice(_SECONDS))


KINDS: Final = (
    FaultKind(
        "clock",
        (Aim.LEADER, Aim.BUSY, Aim.IDLE),
        _moved,
        clocks.why_not,
        needs=frozenset({Need.CLOCKS}),
    ),
)
