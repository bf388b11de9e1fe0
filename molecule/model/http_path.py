"""Paths of HTTP listeners: `/orders/{order}`, what is wrong with one, which requests it takes.

One place for the designer's text, the replicated claim and the gateway's match. What must stay
true: two paths of the same shape take the same requests.
"""

import re
from collections.abc import Sequence
from typing import Final

LENGTH_MAX: Final = 256
PARTS_MAX: Final = 16

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9._~-]+")
_DOTS: Final = (".", "..")


def fault(path: str) -> str:
    """What is wrong with a listener's path; empty when nothing is."""
    if len(path) > LENGTH_MAX:
        return f"the path has {len(path)} characters, at most {LENGTH_MAX} are possible"
    if not path.startswith("/"):
        return "the path must begin with /, like /orders/{order}"
    parts = path[1:].split("/")
    if len(parts) > PARTS_MAX:
        return f"the path has {len(parts)} parts, at most {PARTS_MAX} are possible"
    for part in parts:
        if not _PARAMETER.fullmatch(part) and (part in _DOTS or not _LITERAL.fullmatch(part)):
            return f"{part!r} is no part of a path: letters, digits and . _ ~ -, or {{name}}"
    names = [found[1] for part in parts if (found := _PARAMETER.fullmatch(part))]
    return "each parameter needs a name of its own" if len(set(names)) < len(names) else ""


def shape(path: str) -> str:
    """The path without the names of its parameters: equal shapes take the same requests."""
    return _PARAMETER.sub("{}", path)


def match(path: str, parts: Sequence[str]) -> dict[str, str] | None:
    """The parameters of a request whose path has these decoded parts; None: not its path."""
    own = path[1:].split("/")
    if len(own) != len(parts):
        return None
    found: dict[str, str] = {}
    for mine, given in zip(own, parts, strict=True):
        parameter = _PARAMETER.fullmatch(mine)
        if parameter is not None and given:
            found[parameter[1]] = given
        elif mine != given:
            return None
    return found


def precedence(path: str) -> tuple[bool, ...]:
    """Sorts the paths that take a request: at the first difference a literal part wins."""
    return tuple(bool(_PARAMETER.fullmatch(part)) for part in path[1:].split("/"))
