"""Docstrings: every module says its duty, nearly every public definition its contract."""

import ast
from collections.abc import Iterable, Iterator

from tests.tidy.source import Source

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def module_faults(files: Iterable[Source]) -> list[str]:
    """Modules without a docstring."""
    return [
        f"{source.path}: no module docstring"
        for source in files
        if source.text.strip() and not ast.get_docstring(source.tree)
    ]


def undocumented(files: Iterable[Source]) -> tuple[list[str], int]:
    """Public definitions without a docstring, and the number of all public definitions."""
    missing, count = [], 0
    for source in files:
        for node in _public(source.tree):
            count += 1
            if not ast.get_docstring(node):
                missing.append(f"{source.path}:{node.lineno}: {node.name}")
    return missing, count


def _public(tree: ast.AST) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)
