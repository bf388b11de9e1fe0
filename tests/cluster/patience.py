"""Waiting for what a cluster does, so that a failure tells what was seen last."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from molecule.cli.waiting import NotInTime, until

Found = TypeVar("Found")


async def until_shown(
    look: Callable[[], Awaitable[Found | None]],
    what: str,
    within_s: float,
    last: Callable[[], object],
) -> Found:
    """The first answer of `look` that is not None; an AssertionError that shows `last()`."""
    try:
        return await until(look, what=what, within_s=within_s, pause_s=0.2)
    except NotInTime as error:
        raise AssertionError(f"{error}; last seen: {last()}") from error
