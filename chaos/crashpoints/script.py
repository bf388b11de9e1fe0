"""The form of a script, and what it may say about itself while it runs.

A script is deterministic: the one who judges a crash works out for himself what had been done. It
says `begin N` before it does its step N and `done N` when the product told that it is durable.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Violation(Exception):
    """What the product made of the files after a crash breaks a promise."""


class Script(Protocol):
    """Steps on real storage classes, and the judgement of what a crash left of them."""

    def run(self, folder: Path) -> None:
        """Do all steps in an empty folder."""

    def check(self, folder: Path, begun: int, done: int) -> None:
        """Recover from a copy of what a crash left, and go on; raises `Violation`.

        Steps up to `done` were told to be durable, steps above `begun` were not begun; 0: none.
        Any other error is a violation too.
        """


def begin(step: int) -> None:
    """Say that a step begins."""
    _say(f"begin {step}")


def done(step: int) -> None:
    """Say that a step was told to be durable."""
    _say(f"done {step}")


def progress(said: Sequence[str]) -> tuple[int, int]:
    """The last step that was begun and the last that was done."""
    last = {"begin": 0, "done": 0}
    for text in said:
        word, _, number = text.partition(" ")
        last[word] = int(number)
    return last["begin"], last["done"]


def demand(holds: object, message: str) -> None:
    """Raise `Violation` unless it is true."""
    if not holds:
        raise Violation(message)


def _say(text: str) -> None:
    # One call, so that it has one place among all others.
    os.write(1, f"{text}\n".encode())
