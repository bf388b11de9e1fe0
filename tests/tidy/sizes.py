"""Sizes: a file is one duty, a function one thought.

A longer file needs a reason in `LONGER`; nothing may pass `FILE_LINES_EVER`.
"""

import ast
from collections.abc import Iterable, Mapping

from tests.tidy.source import Source

FILE_LINES = 400
FILE_LINES_EVER = 500
FUNCTION_LINES = 60

LONGER: Mapping[str, str] = {}
"""Files between the two bounds: path -> why splitting it would make it harder to read."""


def file_faults(files: Iterable[Source], longer: Mapping[str, str] = LONGER) -> list[str]:
    """Files that are too long, and reasons that are no longer needed."""
    lengths = {source.path: len(source.text.splitlines()) for source in files}
    found = []
    for path, lines in lengths.items():
        allowed = FILE_LINES_EVER if path in longer else FILE_LINES
        if lines > allowed:
            found.append(f"{path}: {lines} lines, at most {allowed}")
    unneeded = [path for path in longer if lengths.get(path, 0) <= FILE_LINES]
    return found + [f"{path}: needs no reason any more" for path in unneeded]


def function_faults(files: Iterable[Source]) -> list[str]:
    """Functions over the bound, counted from `def` to the last line."""
    found = []
    for source in files:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{source.path}:{node.lineno}: {node.name} has {lines} lines")
    return found


def spread_faults(files: Iterable[Source], *, median: int, ninth_tenth: int) -> list[str]:
    """Half of all files are within `median` lines, nine of ten within `ninth_tenth`."""
    lengths = sorted(len(source.text.splitlines()) for source in files)
    if not lengths:
        return []
    middle, high = lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10]
    found = []
    if middle > median:
        found.append(f"the median file has {middle} lines, at most {median}")
    if high > ninth_tenth:
        found.append(f"one file of ten has over {high} lines, at most {ninth_tenth}")
    return found
