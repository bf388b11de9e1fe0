"""The port behind which JSONata engines stand: JSON text in, JSON text out, always within limits.

An engine compiles and runs; it knows nothing of documents, steps or error classes. What must stay
true: a `Program` ends within its limits whatever it was given, and the same input, instant and seed
give the same text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from molecule.config import Limits
from molecule.model.errors import InvalidConfig


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far one evaluation may go; from `config.Limits`."""

    time_ms: int
    depth: int
    steps: int
    items: int
    result_bytes: int
    source_length: int

    @classmethod
    def of(cls, limits: Limits) -> "Bounds":
        """The bounds that these limits name."""
        return cls(
            limits.expression_ms_max,
            limits.expression_depth_max,
            limits.expression_steps_max,
            limits.expression_items_max,
            limits.expression_result_bytes_max,
            limits.expression_length_max,
        )


class Fault(Exception):
    """What an engine found wrong, compiling or evaluating; `position` counts from 0."""

    def __init__(
        self, message: str, *, code: str, position: int | None, limit: bool, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.position, self.limit = message, code, position, limit
        self.hint = hint


class Program(Protocol):
    """One compiled expression; may be used by many threads."""

    source: str
    names: tuple[str, ...]
    """Names it reads besides the document (`$name`), each known or not."""

    def run(
        self, document: str | None, names: Mapping[str, Any], *, now_ms: int, seed: int
    ) -> str | None:
        """JSON text of the result; None when it yields nothing. Raises `Fault`."""
        ...


class Engine(Protocol):
    """Compiles JSONata."""

    def compile(self, source: str) -> Program:
        """Raises `Fault` with the position, also for `$eval` and for text over the length bound."""
        ...


def make(name: str, limits: Limits) -> Engine:
    """The engine of this name: `jlens`, or `jsonata-python` (an extra)."""
    bounds = Bounds.of(limits)
    if name == "jlens":
        from molecule.expression.jlens_engine import JlensEngine

        return JlensEngine(bounds)
    if name == "jsonata-python":
        from molecule.expression.jsonata_python_engine import JsonataPythonEngine

        return JsonataPythonEngine(bounds)
    raise InvalidConfig(f"there is no expression engine called {name}", engine=name)
