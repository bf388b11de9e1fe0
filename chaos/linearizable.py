"""Whether one order of a register's operations explains every answer: Wing and Gong's search.

Each operation is done between its request and its answer; what was tried is remembered, as Lowe
proposes. What a register is in the product is left to whoever records. An operation of unknown
outcome may take effect at any time after its request, or never. What must stay true: a search that
became too long says so, and never guesses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

STEPS_MAX: Final = 2_000_000
"""Of one register: some seconds. Good histories of 1,000 operations, a tenth of them unknown, need
up to 100,000."""

NEVER: Final = float("inf")


class Judgement(StrEnum):
    """What the search found."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Call:
    """One operation. Values are texts that are equal when the values are; None is no value.

    `ended` is NEVER when the outcome is unknown. A read told `value`; a write sets it; a swap sets
    it if the register has `expected`, and `matched` tells whether it had.
    """

    action: Literal["read", "write", "swap"]
    began: int
    ended: float
    value: str | None
    expected: str | None = None
    matched: bool | None = None

    def after(self, current: str | None) -> tuple[bool, str | None]:
        """Whether the answer fits a register that has `current`, and what it has afterwards."""
        match self.action:
            case "read":
                return current == self.value, current
            case "write":
                return True, self.value
            case "swap":
                has = current == self.expected
                fits = self.matched is None or self.matched is has
                return fits, self.value if has else current


@dataclass(frozen=True, slots=True)
class Finding:
    """The judgement; and the calls at which the longest explanation ends.

    None of them can come next. Only told of a register that is not linearizable.
    """

    judgement: Judgement
    stuck: tuple[int, ...] = ()


def judge(calls: Sequence[Call], *, steps_max: int = STEPS_MAX) -> Finding:
    """The finding over all calls of one register, which begins without a value."""
    order = sorted(range(len(calls)), key=lambda place: calls[place].began)
    needed = sum(1 << place for place in order if calls[place].ended != NEVER)
    seen: dict[tuple[int, str | None], list[int]] = {}
    best = -1
    stuck: tuple[int, ...] = ()
    # Each level holds what was done, the value, the last call, and those still to be tried next.
    stack: list[tuple[int, str | None, Call | None, Iterator[int]]] = [
        (0, None, None, iter(_next(calls, order, done=0)))
    ]
    steps = 0
    while stack:
        done, current, last, candidates = stack[-1]
        if done & needed == needed:
            return Finding(Judgement.LINEARIZABLE)
        place = next(candidates, None)
        if place is None:
            stack.pop()
            continue
        steps += 1
        if steps > steps_max:
            return Finding(Judgement.UNDECIDED)
        call = calls[place]
        fits, value = call.after(current)
        if not fits or _is_vain(call, current, last=last):
            continue
        now = done | 1 << place
        if _is_known(seen, (now & needed, value), now & ~needed):
            continue
        following = _next(calls, order, done=now)
        reached = (now & needed).bit_count()
        if reached > best:
            best, stuck = reached, tuple(following)
        stack.append((now, value, call, iter(following)))
    return Finding(Judgement.NOT_LINEARIZABLE, stuck)


def _is_vain(call: Call, current: str | None, *, last: Call | None) -> bool:
    """Whether never to do an unknown call, or the unknown one before it, comes to the same.

    It is so when it changes nothing, or overwrites what nobody can have seen.
    """
    if call.ended != NEVER:
        return False
    overwrites = last is not None and last.ended == NEVER and call.action == "write"
    return overwrites or call.after(current)[1] == current


def _is_known(
    seen: dict[tuple[int, str | None], list[int]], reached: tuple[int, str | None], used: int
) -> bool:
    """Whether the search was here before with no more unknown calls used up; else remember it.

    Who used fewer of them can do all that the other one can.
    """
    before = seen.setdefault(reached, [])
    if any(earlier & ~used == 0 for earlier in before):
        return True
    before.append(used)
    return False


def _next(calls: Sequence[Call], order: Sequence[int], *, done: int) -> list[int]:
    """Calls that may come next: they began before the first of the rest has ended.

    Those that ended first are tried first, and unknown ones last, when an answer asks for them.
    """
    found: list[int] = []
    ends = NEVER
    for place in order:
        if done >> place & 1:
            continue
        call = calls[place]
        if call.began > ends:
            break
        found.append(place)
        ends = min(ends, call.ended)
    return sorted(found, key=lambda place: calls[place].ended)
