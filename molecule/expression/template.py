"""Literals in which `${ expression }` is replaced.

`$${` is a literal `${`. A text that is one `${...}` and nothing else keeps the type of its value;
otherwise the value must be a text, number or boolean. An expression that yields nothing is an
error of the document, never an empty text.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from molecule.expression.engine import Engine, Fault
from molecule.expression.expression import NOTHING, Expression, compile_one, data_error, told
from molecule.expression.names import Names
from molecule.model.document import Document

Escape = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Text:
    """A text with replacements: literal parts and expressions, in order."""

    parts: tuple[str | Expression, ...]
    field: str

    def value(self, document: Document, names: Names) -> Any:
        """The replaced text; the value itself when the whole text is one replacement."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self._given(self.parts[0], document, names)
        return self.text(document, names)

    def text(self, document: Document, names: Names, escape: Escape = str) -> str:
        """Always text; `escape` is applied to what is replaced, never to the literal parts."""
        return "".join(
            part if isinstance(part, str) else escape(self._inside(part, document, names))
            for part in self.parts
        )

    def _given(self, part: Expression, document: Document, names: Names) -> Any:
        value = part.value(document, names)
        if value is NOTHING:
            raise data_error(f"{self.field}: ${{{part.source}}} yields nothing", field=self.field)
        return value

    def _inside(self, part: Expression, document: Document, names: Names) -> str:
        value = self._given(part, document, names)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise data_error(
            f"{self.field}: ${{{part.source}}} must be a text, number or boolean, is {told(value)}",
            field=self.field,
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A literal of any JSON shape whose texts may have replacements."""

    shape: Any
    field: str
    fixed: bool
    """True: nothing is replaced, whatever the document."""

    def value(self, document: Document, names: Names) -> Any:
        """The literal, replaced."""
        return self.shape if self.fixed else _filled(self.shape, document, names)

    def text(self, document: Document, names: Names, escape: Escape = str) -> str:
        """As text, each replaced value escaped; a data error for a literal that is no text."""
        if isinstance(self.shape, Text):
            return self.shape.text(document, names, escape)
        if isinstance(self.shape, str | int | float) and not isinstance(self.shape, bool):
            return str(self.shape)
        raise data_error(f"{self.field}: must be a text", field=self.field)


def compile_template(
    literal: Any, engine: Engine, *, field: str = "", braces_max: int = 100
) -> Template:
    """Raises `Fault`; its position counts within the text at fault."""
    shape, fixed = _compiled(literal, engine, field, braces_max)
    return Template(shape, field, fixed)


def compile_text(text: str, engine: Engine, *, field: str = "", braces_max: int = 100) -> Text:
    """Raises `Fault` with the position in `text`."""
    return Text(tuple(_joined(_parts(text, engine, field, braces_max))), field)


def _compiled(literal: Any, engine: Engine, field: str, braces_max: int) -> tuple[Any, bool]:
    if isinstance(literal, str):
        text = compile_text(literal, engine, field=field, braces_max=braces_max)
        if any(isinstance(part, Expression) for part in text.parts):
            return text, False
        return "".join(str(part) for part in text.parts), True
    if isinstance(literal, Mapping):
        inner = {
            key: _compiled(item, engine, f"{field}.{key}" if field else str(key), braces_max)
            for key, item in literal.items()
        }
        return {key: item for key, (item, _) in inner.items()}, all(f for _, f in inner.values())
    if isinstance(literal, list | tuple):
        items = [
            _compiled(item, engine, f"{field}[{at}]", braces_max) for at, item in enumerate(literal)
        ]
        return [item for item, _ in items], all(fixed for _, fixed in items)
    return literal, True


def _filled(shape: Any, document: Document, names: Names) -> Any:
    if isinstance(shape, Text):
        return shape.value(document, names)
    if isinstance(shape, dict):
        return {key: _filled(item, document, names) for key, item in shape.items()}
    if isinstance(shape, list):
        return [_filled(item, document, names) for item in shape]
    return shape


def _parts(text: str, engine: Engine, field: str, braces_max: int) -> Iterator[str | Expression]:
    at = 0
    while True:
        begin = text.find("${", at)
        if begin < 0:
            yield text[at:]
            return
        if begin > at and text[begin - 1] == "$":
            yield text[at : begin - 1] + "${"
            at = begin + 2
            continue
        yield text[at:begin]
        expression, at = _expression(text, begin + 2, engine, field, braces_max)
        yield expression


def _expression(
    text: str, begin: int, engine: Engine, field: str, braces_max: int
) -> tuple[Expression, int]:
    """The expression that starts at `begin`, and where the text goes on after its brace.

    The shortest text up to a `}` that compiles is it: a longer one could only be meant when a brace
    stood inside a text or block, and then the shorter one does not compile.
    """
    end, first = begin - 1, None
    for _ in range(braces_max):
        end = text.find("}", end + 1)
        if end < 0:
            break
        try:
            return compile_one(text[begin:end], engine, field=field), end + 1
        except Fault as fault:
            first = first or fault
    if first is None:
        raise Fault("${ is never closed", code="template", position=begin - 2, limit=False)
    raise Fault(
        first.message,
        code=first.code,
        position=begin + (first.position or 0),
        limit=first.limit,
    )


def _joined(parts: Iterator[str | Expression]) -> Iterator[str | Expression]:
    literal = ""
    for part in parts:
        if isinstance(part, str):
            literal += part
            continue
        if literal:
            yield literal
            literal = ""
        yield part
    if literal:
        yield literal
