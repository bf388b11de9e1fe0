"""What no file holds: unsafe or unfinished code, marks of such work, addresses of one machine.

The words that are looked for are put together from parts, so that this file passes its own rule.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from tests.tidy.source import Source, imports

UNSAFE_MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"})
"""They run what they read."""

FORKING_MODULES = frozenset({"multiprocessing"})
"""A fork copies locks and threads in whatever state they are."""

MARKS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
UNFINISHED = re.compile("NotImplemented" + "Error|# type: " + r"ignore(?!\[)|# no" + r"qa(?!:)")
INDEXES = re.compile(
    r'"resolved": *"https?:|registry *= *"?https?:|index-url[ =]+https?:|find-links[ =]+\S+:'
)
HOMES = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/")

ORDINARY_FOLDERS = frozenset({"/", "/tmp", "/srv", "/opt", "/home", "/var", "/var/tmp", "/usr/src"})
"""Parents of a checkout that may well be named in a text without giving a machine away."""


def module_faults(files: Iterable[Source], modules: frozenset[str]) -> list[str]:
    """Imports of modules that are refused."""
    return [
        f"{source.path}:{item.line}: imports {item.name}"
        for source in files
        for item in imports(source)
        if item.candidates[-1].split(".")[0] in modules
    ]


def statement_faults(files: Iterable[Source]) -> list[str]:
    """`assert` (vanishes under -O), bare tasks (nobody waits for them), blocking sleeps."""
    found = []
    for source in files:
        for node in ast.walk(source.tree):
            place = f"{source.path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Assert):
                found.append(f"{place}: assert; use invariant()")
            elif isinstance(node, ast.Call) and _called(node) in {
                "asyncio.create_task",
                "asyncio.ensure_future",
                "loop.create_task",
            }:
                found.append(f"{place}: a task outside a TaskGroup")
            elif isinstance(node, ast.Call) and _called(node) == "time.sleep":
                found.append(f"{place}: blocks the process")
    return found


def sleep_faults(files: Iterable[Source]) -> list[str]:
    """Any sleep but `sleep(0)`, which only lets others run: for tests that must not wait."""
    return [
        f"{source.path}:{node.lineno}: sleeps"
        for source in files
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and _called(node).split(".")[-1] == "sleep"
        and not _is_zero(node)
    ]


def _is_zero(node: ast.Call) -> bool:
    return [each.value for each in node.args if isinstance(each, ast.Constant)] == [0]


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        return f"{owner}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def inner_import_faults(files: Iterable[Source], allowed: tuple[str, ...]) -> list[str]:
    """Imports inside functions, outside the packages where start-up time or extras ask for them."""
    return [
        f"{source.path}:{item.line}: imports {item.name} inside a function"
        for source in files
        if not source.module.startswith(allowed)
        for item in imports(source)
        if item.inside_function
    ]


WITH_REASON = {"molecule/rpc/__init__.py": "sets what grpc reads once, before anything imports it"}


def init_faults(files: Iterable[Source]) -> list[str]:
    """An `__init__.py` with more than its docstring: a second way to every name."""
    return [
        f"{source.path}: holds more than a docstring"
        for source in files
        if source.is_package and source.path not in WITH_REASON and len(source.tree.body) > 1
    ]


def text_faults(path: str, text: str, *, above: str) -> list[str]:
    """Marks of unfinished work, package indexes and folders of one machine, line by line.

    `above` is the folder in which the checkout lies.
    """
    patterns = [(INDEXES, "names a package index"), (HOMES, "names somebody's home folder")]
    if PurePosixPath(path).suffix in {".py", ".sh", ".md", ".yaml", ".toml", ".proto", ""}:
        patterns.append((MARKS, "marks unfinished work"))
    if path.endswith(".py"):
        patterns.append((UNFINISHED, "unfinished, or a check switched off without saying which"))
    if above not in ORDINARY_FOLDERS:
        patterns.append((re.compile(re.escape(above) + "/"), "names a folder of this machine"))
    return [
        f"{path}:{number}: {reason}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern, reason in patterns
        if pattern.search(line)
    ]
