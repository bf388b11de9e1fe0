"""Compiled expressions over documents.

What an expression yields is a JSON value or `NOTHING`; the two are never mixed up. Every
evaluation has its limits, instant and seed; every failure is a `StepError` of class data or limit
whose message shows the expression.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import orjson

from molecule.expression.engine import Engine, Fault, Program
from molecule.expression.json_text import to_text
from molecule.expression.names import BOUND, Names
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError

_SHOWN_LENGTH: Final = 120


class _Nothing:
    """The type of `NOTHING`."""

    def __repr__(self) -> str:
        return "NOTHING"

    def __bool__(self) -> bool:
        return False


NOTHING: Final = _Nothing()
"""What an expression yields when it yields nothing: neither null, nor false, nor an empty text."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression. `field` names it in errors (`if`, `to.minutes`)."""

    program: Program
    field: str

    @property
    def source(self) -> str:
        """As the designer wrote it."""
        return self.program.source

    def value(self, document: Document, names: Names) -> Any:
        """A JSON value or `NOTHING`. Raises `StepError`."""
        return self.of(document.value, document.properties, names)

    def of(self, value: Any, properties: Mapping[str, Any], names: Names) -> Any:
        """The same over a bare value, as a table's row is one."""
        try:
            text = _run(self.program, value, properties, names)
        except Fault as fault:
            refuse(fault, field=self.field, source=self.source)
        return NOTHING if text is None else orjson.loads(text)

    def is_true(self, document: Document, names: Names) -> bool:
        """A condition's answer. Anything but true and false is a data error, nothing included."""
        value = self.value(document, names)
        if value is True or value is False:
            return bool(value)
        raise data_error(
            f"{self.field}: {_shown(self.source)} must give true or false, gave {told(value)}",
            field=self.field,
        )

    def text(self, document: Document, names: Names) -> str:
        """A key's text: texts, whole numbers and booleans; all else is a data error."""
        value = self.value(document, names)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        raise data_error(
            f"{self.field}: {_shown(self.source)} must give a text, gave {told(value)}",
            field=self.field,
        )


@dataclass(frozen=True, slots=True)
class Expressions:
    """Named expressions over the same document, evaluated together.

    A name that ends in `[]` always gives a list, without the brackets in its name.
    """

    items: Mapping[str, Expression]
    together: Program | None

    def values(self, document: Document, names: Names) -> dict[str, Any]:
        """Name -> value, in the order written; what yields nothing is left out."""
        return self.of(document.value, document.properties, names)

    def of(self, value: Any, properties: Mapping[str, Any], names: Names) -> dict[str, Any]:
        """The same over a bare value."""
        found = self._together(value, properties, names)
        if found is None:
            each = {name: item.of(value, properties, names) for name, item in self.items.items()}
            found = {name: item for name, item in each.items() if item is not NOTHING}
        return _with_lists(self.items, found)

    def _together(
        self, value: Any, properties: Mapping[str, Any], names: Names
    ) -> dict[str, Any] | None:
        # An object constructor groups over a list, so lists are evaluated one expression at a time;
        # so is what failed, to find out which expression it was.
        if self.together is None or isinstance(value, list):
            return None
        try:
            text = _run(self.together, value, properties, names)
        except Fault:
            return None
        found = orjson.loads(text or "null")
        return found if isinstance(found, dict) else None


def compile_one(source: str, engine: Engine, *, field: str = "") -> Expression:
    """Raises `Fault` with the position in `source`, also for a name that is never bound."""
    program = engine.compile(source)
    for name in program.names:
        if name not in BOUND:
            raise Fault(
                f"nothing is called ${name}",
                code="unknown_name",
                position=max(source.find(f"${name}"), 0),
                limit=False,
                hint=f"bound: {', '.join(f'${known}' for known in BOUND)}, and JSONata's functions",
            )
    return Expression(program, field)


def compile_many(sources: Mapping[str, str], engine: Engine, *, field: str = "") -> Expressions:
    """Raises `Fault`; use `compile_one` per item to find all faults."""
    items = {
        name: compile_one(source, engine, field=f"{field}.{name}" if field else name)
        for name, source in sources.items()
    }
    return together(items, engine)


def together(items: Mapping[str, Expression], engine: Engine) -> Expressions:
    """Expressions that were compiled one by one, as one."""
    if len(items) < 2:
        return Expressions(items, None)
    parts = (f"{orjson.dumps(name).decode()}: ({item.source}\n)" for name, item in items.items())
    try:
        return Expressions(items, engine.compile("{" + ", ".join(parts) + "}"))
    except Fault:  # too long or too deep as one: then one by one
        return Expressions(items, None)


def data_error(message: str, *, field: str = "") -> StepError:
    """An error of the document, for who made or mends it."""
    return StepError(message, error_class=ErrorClass.DATA, field=field)


def refuse(fault: Fault, *, field: str, source: str) -> NoReturn:
    """Raise what an engine found as the error of a step."""
    where = f"{field}: " if field else ""
    raise StepError(
        f"{where}{fault.message} in {_shown(source)}",
        error_class=ErrorClass.LIMIT if fault.limit else ErrorClass.DATA,
        field=field,
        expression=source,
        jsonata_code=fault.code,
        position=fault.position,
    ) from None


def told(value: Any) -> str:
    """A value for people: short, nothing called nothing."""
    if value is NOTHING:
        return "nothing"
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def _run(program: Program, value: Any, properties: Mapping[str, Any], names: Names) -> str | None:
    bound: dict[str, Any] = {}
    if program.names:
        # Through JSON text and back: bindings get the same checks as the document.
        bound = orjson.loads(to_text(names.bound(program.names, properties)))
    return program.run(to_text(value), bound, now_ms=names.now_ms, seed=names.seed)


def _with_lists(items: Mapping[str, Expression], found: dict[str, Any]) -> dict[str, Any]:
    if not any(name.endswith("[]") for name in items):
        return found
    whole: dict[str, Any] = {}
    for name in items:
        if name.endswith("[]"):
            value = found.get(name, [])
            whole[name[:-2]] = value if isinstance(value, list) else [value]
        elif name in found:
            whole[name] = found[name]
    return whole


def _shown(source: str) -> str:
    flat = " ".join(source.split())
    return flat if len(flat) <= _SHOWN_LENGTH else f"{flat[:_SHOWN_LENGTH]}..."
