"""Durations as users write them: `250ms`, `5s`, `30m`, `2h`, `1d`."""

import re
from typing import Final

_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def milliseconds(text: str) -> int | None:
    """The duration in milliseconds; None when the text is none."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None
