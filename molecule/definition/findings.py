"""Collects every fault of a user's file, with its place; nothing stops at the first one."""

import difflib
from collections.abc import Iterable

from molecule.model.errors import Finding


class Findings:
    """Faults of one file, at most `bound`; the last one says when there were more."""

    def __init__(self, file: str, *, bound: int) -> None:
        self._file = file
        self._bound = bound
        self.all: list[Finding] = []
        self.warnings: list[Finding] = []

    def add(self, place: tuple[int, int], where: str, what: str, hint: str = "") -> None:
        """A fault: nothing is built from a file that has one."""
        self._append(self.all, place, where, what, hint)

    def warn(self, place: tuple[int, int], where: str, what: str, hint: str = "") -> None:
        """Something that works and may hurt."""
        self._append(self.warnings, place, where, what, hint)

    def in_order(self) -> tuple[Finding, ...]:
        """All faults by place."""
        return tuple(sorted(self.all, key=_by_place))

    def warnings_in_order(self) -> tuple[Finding, ...]:
        """All warnings by place."""
        return tuple(sorted(self.warnings, key=_by_place))

    def _append(
        self, to: list[Finding], place: tuple[int, int], where: str, what: str, hint: str
    ) -> None:
        if len(to) < self._bound:
            to.append(Finding(self._file, *place, where, what, hint))
        elif len(to) == self._bound:
            to.append(Finding(self._file, *place, "", "and more faults", "mend these first"))


def did_you_mean(word: str, known: Iterable[str], *, or_all: bool = True) -> str:
    """A hint with the nearest known word; with all of them, or none, when none is near."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(words)}" if words and or_all else ""


def _by_place(finding: Finding) -> tuple[str, int, int]:
    return finding.file, finding.line, finding.column
