"""Which fault strikes next, and at whom: from a seed, every kind as often as the others."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chaos.faults.fault import Aim, FaultKind
from chaos.faults.kinds import KINDS

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of a plan."""

    kind: FaultKind
    aim: Aim

    def __str__(self) -> str:
        return f"{self.kind.name} of {self.aim}"


def strikes(rng: random.Random, names: Sequence[str]) -> Iterator[Strike]:
    """Without end. Each round has every kind once, in another order and at another aim."""
    aims = {name: _shuffled(rng, KINDS[name].aims) for name in names}
    turn = 0
    while True:
        for name in _shuffled(rng, tuple(names)):
            yield Strike(KINDS[name], aims[name][turn % len(aims[name])])
        turn += 1


def _shuffled(rng: random.Random, items: Sequence[_T]) -> list[_T]:
    return rng.sample(items, len(items))
