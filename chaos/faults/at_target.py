"""The target fails, answers late, or has its effect and loses the answer; it counts its victims."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Final

from chaos.faults.fault import Aim, Fault, FaultKind, NotConfirmed
from chaos.runner.site import Site
from chaos.runner.target import Mood
from molecule.cli.waiting import NotInTime, until

_SECONDS: Final = (2.0, 8.0)
_HIT_WITHIN_S: Final = 20.0


@dataclass(slots=True)
class Moody:
    """The target behaves in a way for a while."""

    kind: str
    mood: Mood
    seconds: float
    nodes: tuple[str, ...] = ()
    unseats: bool = False
    hits_within_s: float = _HIT_WITHIN_S
    _before: int = 0

    async def begin(self, site: Site) -> None:
        """From the next call on."""
        self._before = site.target.hits
        site.target.mood = self.mood

    async def confirm(self, site: Site) -> dict[str, Any]:
        """At least one call was harmed."""

        async def look() -> int | None:
            return site.target.hits - self._before or None

        try:
            await until(look, what="a call that was harmed", within_s=self.hits_within_s)
        except NotInTime as error:
            raise NotConfirmed(str(error)) from None
        await asyncio.sleep(self.seconds)
        return {"calls_harmed": site.target.hits - self._before}

    async def end(self, site: Site) -> None:
        """As it was."""
        site.target.mood = Mood()


def _of(kind: str, rng: random.Random) -> Fault:
    mood = {
        "target_fails": Mood(fails=0.5),
        "target_loses_answers": Mood(loses_answer=0.5),
        "target_is_slow": Mood(delay_s=rng.choice((0.5, 2.0))),
    }[kind]
    return Moody(kind, mood, round(rng.uniform(*_SECONDS), 1))


KINDS: Final = tuple(
    FaultKind(kind, (Aim.TARGET,), lambda rng, _, __, kind=kind: _of(kind, rng))  # type: ignore[misc]
    for kind in ("target_fails", "target_loses_answers", "target_is_slow")
)
