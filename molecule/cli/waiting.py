"""Bounded waiting for something that another process brings about.

Nothing in the command line waits for a length of time: it waits for a condition, asks again after a
short pause, and gives up with the words of the last look.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PAUSE_S = 0.1


class NotInTime(Exception):
    """The condition did not come true within its bound; the message says what was waited for."""


async def until(
    look: Callable[[], Awaitable[Found | None]],
    *,
    what: str,
    within_s: float,
    pause_s: float = PAUSE_S,
) -> Found:
    """The first answer of `look` that is not None; `NotInTime` after `within_s` seconds."""
    try:
        async with asyncio.timeout(within_s):
            while (found := await look()) is None:  # noqa: ASYNC110 - see below
                await asyncio.sleep(pause_s)  # the world outside has no event to wait on
            return found
    except TimeoutError:
        raise NotInTime(f"{what}: not within {within_s:.0f} s") from None
