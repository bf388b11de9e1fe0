"""The instants at which calls of a rate-limited connection may leave, in the cluster's time.

One number is all that is remembered: when the next call is due if calls come evenly. What stays
true: calls that leave within `permit_us` of their instants are never more than `rate_limit +
rate_burst` in any `rate_per_ms`, whoever leads and however many nodes ask.
"""

from typing import Final

from molecule.model.gate import GatePolicy

HORIZON_US: Final = 2_000_000
"""A permit further off is not given: who would have to wait for it waits without a slot."""


def permit_us(policy: GatePolicy) -> int:
    """How long after its instant a permit may still be used."""
    return min(max(policy.rate_per_ms // 10, 10), 1_000) * 1_000


def interval_us(policy: GatePolicy) -> int:
    """The distance of two calls when they come evenly.

    A call may be late by `permit_us`, so those of one period stem from instants within that much
    more than a period; the distance is so large that no more than the limit fit into it.
    """
    return (policy.rate_per_ms * 1_000 + permit_us(policy)) // policy.rate_limit + 1


def grant(
    policy: GatePolicy, *, next_us: int, now_us: int, earliest_us: int, count: int
) -> tuple[list[int], int]:
    """Instants for up to `count` calls, none further off than the horizon, and the new `next_us`.

    A burst lets calls leave earlier than evenly, and makes later ones wait for it.
    """
    distance = interval_us(policy)
    instants: list[int] = []
    for _ in range(count):
        instant = max(earliest_us, next_us - policy.rate_burst * distance)
        if instant > now_us + HORIZON_US:
            break
        instants.append(instant)
        next_us = max(next_us, instant) + distance
    return instants, next_us


def room(policy: GatePolicy, *, next_us: int, now_us: int) -> int:
    """How many permits `grant` could give now."""
    distance = interval_us(policy)
    left = now_us + HORIZON_US + policy.rate_burst * distance - max(next_us, now_us)
    return left // distance + 1 if left >= 0 else 0


def turn_us(policy: GatePolicy, *, next_us: int, now_us: int, before: int) -> int:
    """When one may call before whom so many others are, if none of them lets its permit be."""
    distance = interval_us(policy)
    booked_us = max(next_us, now_us) + before * distance
    return max(now_us, booked_us - policy.rate_burst * distance)
