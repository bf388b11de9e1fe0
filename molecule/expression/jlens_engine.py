"""JSONata by jlens (Rust): fast, lets other threads run, keeps its limits.

Only `evaluate_json` is used: it takes and gives text and releases the interpreter lock.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import jlens

from molecule.expression.engine import Bounds, Fault, Program

_LIMIT_CODES: Final = frozenset({"D1011", "D1012", "U1001", "U1006"})
"""Stack, time, size, steps."""
_ERROR: Final = re.compile(r"\$error\b")
"""`$error` is a function of JSONata too, so jlens does not tell that it is read."""


class JlensEngine:
    """The default engine."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def compile(self, source: str) -> Program:
        """A program; refuses what the bounds and the language refuse."""
        if len(source) > self._bounds.source_length:
            raise Fault(
                f"an expression may have {self._bounds.source_length} characters",
                code="expression_length_max",
                position=None,
                limit=True,
            )
        try:
            expression = jlens.Expression(source)
            reads = expression.reads()
        except jlens.JlensError as error:
            raise _fault(error) from None
        except ValueError as error:
            raise Fault(str(error), code="S0500", position=None, limit=False) from None
        # jlens can only tell that everything may be read when code is made at run time.
        if reads.get("everyBinding"):
            at = source.find("$eval")
            raise Fault(
                "$eval is refused: an expression is fixed when the process is",
                code="eval",
                position=max(at, 0),
                limit=False,
            )
        names = set(reads["bindings"])
        if _ERROR.search(source):
            names.add("error")
        return _JlensProgram(expression, source, tuple(sorted(names)), self._bounds)


class _JlensProgram:
    def __init__(
        self, expression: jlens.Expression, source: str, names: tuple[str, ...], bounds: Bounds
    ) -> None:
        self.source = source
        self.names = names
        self._evaluate = expression.evaluate_json
        self._limits: dict[str, Any] = {
            "timeout": bounds.time_ms / 1000,
            "max_depth": bounds.depth,
            "max_steps": bounds.steps,
            "max_string_length": bounds.result_bytes,
            "max_array_length": bounds.items,
            "max_result_size": bounds.result_bytes,
        }

    def run(
        self, document: str | None, names: Mapping[str, Any], *, now_ms: int, seed: int
    ) -> str | None:
        try:
            result: str | None = self._evaluate(
                document, dict(names) or None, now=now_ms, seed=seed, **self._limits
            )
        except jlens.JlensError as error:
            raise _fault(error) from None
        except (ValueError, TypeError) as error:
            raise Fault(str(error), code="input", position=None, limit=False) from None
        return result


def _fault(error: jlens.JlensError) -> Fault:
    code = str(error.code)
    # `position` is where the engine stood, `start` where the token at fault begins.
    position = error.position if error.start is None else error.start
    return Fault(str(error), code=code, position=position, limit=code in _LIMIT_CODES)
