"""Python files as the rules see them: a module name, the text, the syntax tree.

Leaves judging to the rules. A rule never opens a file itself, so its test can hand it a string.
"""

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One Python file. `path` is relative to the checkout, `module` is its dotted name."""

    path: str
    text: str

    @property
    def module(self) -> str:
        """`molecule.cluster.apply`; a package's `__init__.py` has the package's name."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def tree(self) -> ast.Module:
        """The syntax tree, parsed once."""
        return _parsed(self.path, self.text)

    @property
    def is_package(self) -> bool:
        """True for an `__init__.py`."""
        return self.path.endswith("__init__.py")


@dataclass(frozen=True)
class Import:
    """An imported module, or a name taken from one: then both readings are in `candidates`."""

    line: int
    candidates: tuple[str, ...]
    inside_function: bool

    @property
    def name(self) -> str:
        """The most exact reading."""
        return self.candidates[0]


@functools.cache
def _parsed(path: str, text: str) -> ast.Module:
    return ast.parse(text, path)


@functools.cache
def tracked() -> tuple[str, ...]:
    """Every file of the checkout that is not ignored, new ones included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(sorted(path for path in listed.split("\0") if path and (ROOT / path).is_file()))


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The hand-written Python files below these folders; generated code is left out."""
    return tuple(
        Source(path, (ROOT / path).read_text(encoding="utf-8"))
        for path in tracked()
        if path.endswith(".py")
        and path.startswith(tuple(f"{folder}/" for folder in folders))
        and not path.startswith("molecule/wire/")
    )


def imports(source: Source) -> list[Import]:
    """Every import of a file, also those inside functions and those only for the type checker."""
    found: list[Import] = []
    _collect(source.tree, found, inside_function=False)
    return found


def _collect(node: ast.AST, found: list[Import], *, inside_function: bool) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found += [Import(child.lineno, (alias.name,), inside_function) for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            found += [
                Import(child.lineno, (f"{module}.{alias.name}", module), inside_function)
                for alias in child.names
            ]
        else:
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            _collect(child, found, inside_function=inside_function or function)


def hold(faults: list[str]) -> None:
    """Fail with every fault on a line of its own; pass when there are none."""
    if faults:
        raise AssertionError("\n".join(["", *faults]))
