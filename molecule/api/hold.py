"""Holds a caller while the node process restarts or the leader changes, by asking again.

It decides only whether an error may pass by itself before the caller's deadline; what to answer at
the deadline is the asker's business. Nothing is ever repeated that could happen twice: submissions
carry their idempotency keys, and whoever has none says `repeat_unknown=False`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from molecule.model.errors import (
    Draining,
    MoleculeError,
    Overloaded,
    StorageFull,
    Unavailable,
)

Answer = TypeVar("Answer")

# These say that waiting here is wrong: the caller must slow down or ask another node.
_ANSWERED_AT_ONCE = (Overloaded, Draining, StorageFull)


@dataclass(frozen=True, slots=True)
class Patience:
    """A clock and a way to let time pass, given by the root so that tests bring their own."""

    now_s: Callable[[], float]
    pause_s: Callable[[float], Awaitable[None]]
    repeat_s: float


def may_pass(kind: type[MoleculeError], *, repeat_unknown: bool) -> bool:
    """True when asking again soon may succeed and cannot do harm."""
    if not issubclass(kind, Unavailable) or issubclass(kind, _ANSWERED_AT_ONCE):
        return False
    return kind.definite or repeat_unknown


def passing_codes(family: type[MoleculeError] = Unavailable) -> frozenset[str]:
    """Codes of the errors that may pass when keys make repeating safe."""
    own = {family.code} if may_pass(family, repeat_unknown=True) else set()
    return frozenset(own.union(*(passing_codes(leaf) for leaf in family.__subclasses__())))


async def ask(
    call: Callable[[float], Awaitable[Answer]],
    *,
    patience: Patience,
    within_s: float,
    repeat_unknown: bool = True,
    is_settled: Callable[[Answer], bool] = lambda _: True,
) -> Answer:
    """The answer of `call(seconds left)`, asked again while it may pass and `within_s` is not over.

    Then it is the last answer, settled or not, or the last error.
    """
    deadline_s = patience.now_s() + within_s
    while True:
        left_s = max(0.0, deadline_s - patience.now_s())
        error: MoleculeError | None = None
        try:
            answer = await call(left_s)
            if is_settled(answer):
                return answer
        except MoleculeError as refused:
            if not may_pass(type(refused), repeat_unknown=repeat_unknown):
                raise
            error = refused
        await patience.pause_s(max(0.0, min(patience.repeat_s, deadline_s - patience.now_s())))
        # No call with no time left: its answer would hide the reason that is known.
        if patience.now_s() >= deadline_s:
            if error is not None:
                raise error
            return answer
