"""Names: no dumping-ground files, no identifier that the glossary has another word for.

In docs/glossary.md the third column lists what a term is not called; the words in backticks there
are refused in every identifier.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.source import Source

PAGE = "docs/glossary.md"

DUMPING_GROUNDS = frozenset(
    "util utils helper helpers common misc base core manager managers shared tools stuff".split()
)
"""File and folder names that say nothing about a duty."""

ABBREVIATIONS = frozenset("cfg ctx msg req resp mgr svc impl cb tmp idx cnt conn addr proc".split())
"""Short forms that save no reader any time."""


def banned(glossary: str) -> dict[str, str]:
    """Word -> the term to use instead, from the third column of the glossary's tables."""
    found = {}
    for line in glossary.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3:
            for word in re.findall(r"`(\w+)`", cells[2]):
                found[word] = cells[0].replace("*", "")
    return found


def file_faults(paths: Iterable[str]) -> list[str]:
    """Files and folders named like a dumping ground."""
    return [
        f"{path}: {part} says nothing about a duty"
        for path in paths
        for part in path.removesuffix(".py").split("/")
        if part.strip("_") in DUMPING_GROUNDS
    ]


def identifier_faults(files: Iterable[Source], words: dict[str, str]) -> list[str]:
    """Definitions, arguments, attributes and variables with a refused word among their parts."""
    found = []
    for source in files:
        for line, name in dict.fromkeys(_identifiers(source.tree)):
            for part in _parts(name):
                if part in words:
                    found.append(f"{source.path}:{line}: {name}: say {words[part]}, not {part}")
                elif part in ABBREVIATIONS:
                    found.append(f"{source.path}:{line}: {name}: write {part} out")
    return found


def _parts(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return [part for part in spaced.split("_") if part]


def _identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
