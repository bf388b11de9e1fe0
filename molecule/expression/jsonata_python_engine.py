"""JSONata by jsonata-python: pure Python, some forty times slower, for when jlens must not be used.

Its own limits know time and depth only; sizes are checked on what comes in and goes out.
`$shuffle` is not available, because its order could not be repeated.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from jsonata import functions, jexception, jsonata, utils

from molecule.expression.engine import Bounds, Fault, Program
from molecule.expression.names import BOUND

_LIMIT_CODES: Final = frozenset({"D1011", "D1012", "D2014"})
_DEPTH_PER_CALL: Final = 8
"""It counts every inner evaluation as depth, several for each call in the text."""
_MASK: Final = 2**64 - 1


class JsonataPythonEngine:
    """The fallback engine, and the second opinion of the differential tests."""

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
            parsed = jsonata.Jsonata(source)
        except jexception.JException as error:
            raise _fault(error) from None
        except RecursionError:
            raise Fault("nested too deeply", code="U1001", position=None, limit=True) from None
        used, own = _variables(parsed.ast)
        if "eval" in used:
            raise Fault(
                "$eval is refused: an expression is fixed when the process is",
                code="eval",
                position=max(source.find("$eval"), 0),
                limit=False,
            )
        unknown = {
            name
            for name in used - own
            if name in BOUND or jsonata.Jsonata.static_frame.lookup(name) is None
        }
        return _PythonProgram(source, tuple(sorted(unknown - {"", "$"})), self._bounds)


class _PythonProgram:
    def __init__(self, source: str, names: tuple[str, ...], bounds: Bounds) -> None:
        self.source = source
        self.names = names
        self._bounds = bounds

    def run(
        self, document: str | None, names: Mapping[str, Any], *, now_ms: int, seed: int
    ) -> str | None:
        """Parsed anew for each run: the library keeps state in a parsed expression."""
        value = None if document is None else json.loads(document)
        try:
            program = jsonata.Jsonata(self.source)
            program.set_output_convert_nulls(False)
            frame = program.create_frame(program.environment)
            for name, bound in {**names, **_fixed(now_ms, seed)}.items():
                frame.bind(name, bound)
            frame.set_runtime_bounds(self._bounds.time_ms, self._bounds.depth * _DEPTH_PER_CALL)
            result = program.evaluate(value, frame)
        except jexception.JException as error:
            raise _fault(error) from None
        except RecursionError:
            raise Fault("Stack overflow", code="D1011", position=None, limit=True) from None
        except (ArithmeticError, TypeError, ValueError, AttributeError, KeyError) as error:
            raise Fault(str(error), code="D3000", position=None, limit=False) from None
        return self._text(result)

    def _text(self, result: Any) -> str | None:
        if result is None or callable(result) or isinstance(result, jsonata.Jsonata.JFunction):
            return None
        if isinstance(result, jsonata.parser.Parser.Symbol):
            return None  # a lambda
        text = json.dumps(result, default=_plain, ensure_ascii=False, separators=(",", ":"))
        if len(text) > self._bounds.result_bytes:
            raise Fault(
                f"The result would exceed the size limit of {self._bounds.result_bytes} bytes",
                code="U1001",
                position=None,
                limit=True,
            )
        return text


def _plain(value: Any) -> Any:
    return None if value is utils.Utils.NULL_VALUE else str(value)


def _fixed(now_ms: int, seed: int) -> dict[str, Any]:
    def now(picture: Any = None, timezone: Any = None) -> Any:
        return functions.Functions.datetime_from_millis(now_ms, picture, timezone)

    def refused(*_: Any) -> Any:
        raise jexception.JException("T1006", -1)

    found: dict[str, Callable[..., Any]] = {
        "now": now,
        "millis": lambda: now_ms,
        "random": _numbers(seed),
        "shuffle": refused,
        "eval": refused,
    }
    return {name: jsonata.Jsonata.JLambda(made) for name, made in found.items()}


def _numbers(seed: int) -> Callable[[], float]:
    """Numbers in [0, 1), the same for the same seed (splitmix64)."""
    state = seed & _MASK

    def draw() -> float:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return float(((mixed ^ (mixed >> 31)) >> 11) / 2**53)

    return draw


def _variables(ast: Any) -> tuple[set[str], set[str]]:
    """Names of variables used in a parsed expression, and those it binds itself."""
    used: set[str] = set()
    own: set[str] = set()
    seen: set[int] = set()
    rest: list[Any] = [ast]
    while rest:
        node = rest.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, list | tuple):
            rest.extend(node)
        elif isinstance(node, jsonata.parser.Parser.Symbol):
            rest.extend(vars(node).values())
            kind = getattr(node, "type", None)
            if kind == "variable" and isinstance(node.value, str):
                used.add(node.value)
            if kind == "bind":
                own.add(str(getattr(node.lhs, "value", "")))
            if kind == "lambda":
                own.update(str(argument.value) for argument in node.arguments or ())
    return used, own


def _fault(error: jexception.JException) -> Fault:
    code = str(error.error)
    position = error.location if isinstance(error.location, int) and error.location >= 0 else None
    return Fault(str(error), code=code, position=position, limit=code in _LIMIT_CODES)
