"""Waiting ends with what was waited for, or aloud."""

import pytest

from molecule.cli.waiting import NotInTime, until


async def test_waiting_ends_with_the_first_answer() -> None:
    answers = iter([None, None, 7])

    async def look() -> int | None:
        return next(answers)

    assert await until(look, what="seven", within_s=20, pause_s=0) == 7


async def test_waiting_gives_up_and_says_for_what() -> None:
    async def look() -> int | None:
        return None

    with pytest.raises(NotInTime, match="the moon: not within 0 s"):
        await until(look, what="the moon", within_s=0.01, pause_s=0.001)
