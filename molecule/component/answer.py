"""The answer that the step `respond` gives to the HTTP caller of its execution.

What may stand in it is checked by the step, and its size again where it is committed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What the HTTP caller of an execution gets; `body` is bytes already."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
