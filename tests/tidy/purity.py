"""Purity: what the lower layers never touch, and what would make two replicas differ.

Layers 0 to 2 get time, ids and chance as arguments. The replicated state in `cluster` also must
not depend on the order of a set, on `hash`, `id` or a float, because each voter computes it alone.
"""

import ast
from collections.abc import Iterable

from tests.tidy.source import Source, imports

IMPURE = frozenset(
    """
    time random secrets uuid os io shutil tempfile pathlib glob socket ssl select signal
    selectors subprocess multiprocessing threading concurrent asyncio queue sched logging
    structlog sqlite3 http urllib.request grpc aiosqlite aiohttp httpx2 uvloop uvicorn fastapi
    ctypes mmap fcntl getpass platform resource
    """.split()
)
"""Modules through which a clock, network, disk, chance, thread or log comes in."""

HARMLESS = frozenset({"io.StringIO", "io.BytesIO", "pathlib.PurePosixPath"})
"""Values of those modules that touch nothing outside."""

CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
ORDERLESS_CONSUMERS = frozenset(
    {"list", "tuple", "iter", "enumerate", "map", "filter", "zip", "next"}
)
SET_MAKERS = frozenset({"set", "frozenset"})


def import_faults(files: Iterable[Source]) -> list[str]:
    """Imports that bring the outside world in."""
    found = []
    for source in files:
        for item in imports(source):
            if item.name in HARMLESS:
                continue
            names = [name for name in item.candidates if _impure(name)]
            if names:
                found.append(f"{source.path}:{item.line}: imports {names[0]}")
    return found


def _impure(name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[: length + 1]) in IMPURE for length in range(len(parts)))


def call_faults(files: Iterable[Source]) -> list[str]:
    """Calls that read a clock or a file without importing anything for it."""
    found = []
    for source in files:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Name) and function.id in {"open", "input", "print"}:
                found.append(f"{source.path}:{node.lineno}: calls {function.id}")
            if (
                isinstance(function, ast.Attribute)
                and function.attr in CLOCK_CALLS
                and isinstance(function.value, ast.Name)
                and function.value.id in {"datetime", "date"}
            ):
                found.append(f"{source.path}:{node.lineno}: reads the clock")
    return found


def divergence_faults(files: Iterable[Source]) -> list[str]:
    """Set iteration, `hash`, `id` and floating point, as far as the syntax tree shows them."""
    found = []
    for source in files:
        sets = _set_names(source.tree)
        for node in ast.walk(source.tree):
            reason = _divergence(node, sets)
            if reason:
                line = getattr(node, "lineno", 0)
                found.append(f"{source.path}:{line}: {reason}")
    return found


def _divergence(node: ast.AST, sets: frozenset[str]) -> str | None:
    if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter, sets):
        return "iterates over a set"
    if isinstance(node, ast.Starred) and _is_set(node.value, sets):
        return "unpacks a set"
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return "uses a float"
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
        return "divides to a float"
    if isinstance(node, ast.Call):
        return _call_divergence(node, sets)
    return None


def _call_divergence(node: ast.Call, sets: frozenset[str]) -> str | None:
    function = node.func
    if isinstance(function, ast.Name):
        if function.id in {"hash", "id", "float"}:
            return f"calls {function.id}"
        if function.id in ORDERLESS_CONSUMERS and any(_is_set(each, sets) for each in node.args):
            return "takes a set in its own order"
    if isinstance(function, ast.Attribute):
        if function.attr == "join" and any(_is_set(each, sets) for each in node.args):
            return "joins a set in its own order"
        if function.attr == "pop" and not node.args and _is_set(function.value, sets):
            return "pops from a set"
    return None


def _is_set(node: ast.expr, sets: frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in SET_MAKERS
    if isinstance(node, ast.BinOp):
        return _is_set(node.left, sets) or _is_set(node.right, sets)
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
    return name in sets


def _set_names(tree: ast.Module) -> frozenset[str]:
    """Variables and attributes that the file annotates as a set or fills with one."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            if _annotates_set(node.annotation):
                target = node.target if isinstance(node, ast.AnnAssign) else node
                names.add(_target_name(target))
        elif isinstance(node, ast.Assign) and _is_set(node.value, frozenset()):
            names.update(_target_name(target) for target in node.targets)
    return frozenset(name for name in names if name)


def _annotates_set(annotation: ast.expr) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(outer, ast.Name) and outer.id in {"set", "frozenset", "AbstractSet", "Set"}


def _target_name(target: ast.AST) -> str | None:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.arg):
        return target.arg
    return target.attr if isinstance(target, ast.Attribute) else None
