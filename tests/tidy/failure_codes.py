"""Codes of errors that an execution, a dead letter or a step can show, read off the sources.

A code is found where it is given: `error_code=`, the second argument of `Failure(...)`, or the
argument `code` of a function of the same file that passes it on. A code that is computed is not
found; a text with a computed end (`http_{status}`) is found by its beginning.
"""

import ast
from collections.abc import Iterator

from tests.tidy.source import Source, sources

FOLDERS = (
    "molecule/steps",
    "molecule/connectors",
    "molecule/component",
    "molecule/engine",
    "molecule/cluster",
    "molecule/worker",
    "molecule/triggers",
    "molecule/node",
)


def codes(among: tuple[Source, ...] | None = None) -> dict[str, str]:
    """Each code, with the file that gives it; one that has only a beginning ends in `*`."""
    found: dict[str, str] = {}
    for source in among if among is not None else sources(*FOLDERS):
        constants = dict(_constants(source.tree))
        passing = dict(_passing(source.tree))
        for node in ast.walk(source.tree):
            for value in _given(node, passing):
                for code in _texts(value, constants):
                    found.setdefault(code, source.path)
    return {code: path for code, path in found.items() if code}


def _given(node: ast.AST, passing: dict[str, int]) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        targets = [one for one in node.targets if isinstance(one, ast.Attribute)]
        if any(one.attr == "error_code" for one in targets):
            yield node.value
    if not isinstance(node, ast.Call):
        return
    yield from (keyword.value for keyword in node.keywords if keyword.arg == "error_code")
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name == "Failure" and len(node.args) > 1:
        yield node.args[1]
    if name in passing and len(node.args) > passing[name]:
        yield node.args[passing[name]]


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names with one text, of the module or of a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _passing(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions that make an error of the code they are given, and its place; also `error`."""
    yield "error", 1  # of connectors/sql_dialect.py
    yield "_give_up", 0  # of worker/runner.py
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and _makes_error(node):
            names = [argument.arg for argument in node.args.args]
            if "code" in names:
                yield node.name, names.index("code") - ("self" in names)


def _makes_error(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.keyword)
        and node.arg == "error_code"
        and isinstance(node.value, ast.Name)
        and node.value.id == "code"
        for node in ast.walk(function)
    )


def _texts(value: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str() as beginning), *_]):
            yield f"{beginning}*"
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, constants)
            yield from _texts(orelse, constants)
        case ast.Name(id=name) if name in constants:
            known = constants[name]
            if not (isinstance(known, ast.Name) and known.id == name):
                yield from _texts(
                    known, {key: one for key, one in constants.items() if key != name}
                )
