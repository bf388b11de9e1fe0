"""Waiting for what a cluster does, so that a failure tells what was seen last."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2

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


async def insisted(ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """The first answer of success. Asks again, as clients must, while the answer says it may help.

    Only for what may be asked twice: a submission with its key, an apply.
    """
    answers: list[httpx2.Response] = []

    async def look() -> httpx2.Response | None:
        answers.append(answer := await ask())
        assert answer.is_success or answer.json().get("retryable"), answer.text
        return answer if answer.is_success else None

    return await until_shown(look, "a success", 90, lambda: answers[-1].text)
