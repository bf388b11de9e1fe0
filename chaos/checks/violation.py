"""A broken invariant, as every check returns it: what, of whom, and where the evidence stands."""

from collections.abc import Iterable
from dataclasses import dataclass

LINES_MAX = 20
"""More lines help nobody; the text says how many there are."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of an invariant. `ids` are of executions, keys, nodes or faults."""

    invariant: str
    rule: str
    detail: str
    ids: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(str(line) for line in self.lines[:LINES_MAX])
        more = f" and {len(self.lines) - LINES_MAX} more" if len(self.lines) > LINES_MAX else ""
        return f"{self.invariant} {self.rule}: {self.detail} [lines {shown}{more}]"


def sorted_lines(lines: Iterable[int]) -> tuple[int, ...]:
    """Lines in the order of the file, each once."""
    return tuple(sorted(set(lines)))
