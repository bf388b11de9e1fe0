"""JSON in which no whole number loses digits.

The parser that is used everywhere makes a whole number of more than 64 bits a rounded fraction,
without a word. What comes from outside is read here instead.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

_MAYBE_LONG: Final = re.compile(rb"[0-9]{19}")
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_TOLD_LENGTH: Final = 40


def loads(content: bytes, beyond: Callable[[str], Any]) -> Any:
    """The value; `beyond` is given the digits of each whole number that 64 bits cannot hold.

    Raises `ValueError` for what is no JSON, `orjson.JSONDecodeError` with the place.
    """
    value = orjson.loads(content)
    if _MAYBE_LONG.search(content) is None:
        return value

    def whole(digits: str) -> Any:
        if len(digits) > len(str(_LEAST)):
            return beyond(digits)
        number = int(digits)
        return number if _LEAST <= number <= _MOST else beyond(digits)

    return json.loads(content, parse_int=whole)


class LosesDigits(ValueError):
    """A whole number of more than 64 bits where none may stand."""

    def __init__(self, digits: str) -> None:
        told = digits if len(digits) <= _TOLD_LENGTH else f"{digits[:_TOLD_LENGTH]}..."
        super().__init__(f"{told} has more than 64 bits and would lose digits: send it as a text")
        self.digits = digits


def refuse(digits: str) -> Any:
    """For `loads`: such a number is an error."""
    raise LosesDigits(digits)
