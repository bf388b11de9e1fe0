"""A component's configuration: read from what a user wrote, by its spec, with every fault reported.

Constructors take a `Config` and ask it for what their spec declares; asking for anything else is a
broken invariant, found by the component's first test. Expressions and templates arrive compiled.
"""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from molecule.expression.expression import Expression, Expressions
from molecule.expression.template import Template
from molecule.model.errors import InvalidConfig, invariant

_T = TypeVar("_T")


class Config:
    """Checked values of a component's fields, defaults filled in; see `reading.read_config`."""

    __slots__ = ("_paths", "_values", "catches", "in_verify", "named")

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        paths: Collection[str] = (),
        in_verify: bool = False,
        catches: tuple[tuple[str, ...], ...] = (),
        named: Mapping[str, "Config"] | None = None,
    ) -> None:
        self._values = values
        self._paths = frozenset(paths)
        self.catches = catches
        """Error classes and codes of each `catch` item; an empty item catches all."""
        self.named: Mapping[str, Config] = named or {}
        """The fields of each path that the user named, in file order."""
        self.in_verify = in_verify
        """True: the step asks whether something happened; then no status is an error."""

    def expression(self, name: str) -> Expression:
        """A required expression."""
        return self._get(name, Expression)

    def optional_expression(self, name: str) -> Expression | None:
        """An expression, or None when it is not given."""
        return self._maybe(name, Expression)

    def expressions(self, name: str) -> Expressions:
        """A mapping of names to expressions; empty when it is not given."""
        return self._maybe(name, Expressions) or Expressions({}, None)

    def is_one_expression(self, name: str) -> bool:
        """True when a mapping field was given as one expression."""
        return isinstance(self._values[name], Expression)

    def template(self, name: str) -> Template:
        """A required literal."""
        return self._get(name, Template)

    def optional_template(self, name: str) -> Template | None:
        """A literal, or None when it is not given."""
        return self._maybe(name, Template)

    def text(self, name: str) -> str:
        """A required text, choice, table name or one with a default."""
        return self._get(name, str)

    def optional_text(self, name: str) -> str | None:
        """A text, or None when it is not given."""
        return self._maybe(name, str)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty when it is not given."""
        return self._get(name, tuple)

    def text_map(self, name: str) -> dict[str, str]:
        """Names to texts; empty when it is not given."""
        return self._get(name, dict)

    def rules(self, name: str) -> tuple[tuple[str, Expression], ...]:
        """Names with their conditions; empty when there are none."""
        return self._get(name, tuple)

    def integer(self, name: str) -> int:
        """A whole number within its bounds."""
        return self._get(name, int)

    def boolean(self, name: str) -> bool:
        """True or false."""
        return self._get(name, bool)

    def duration_ms(self, name: str) -> int:
        """A duration in milliseconds."""
        return self._get(name, int)

    def anything(self, name: str) -> Any:
        """A JSON-shaped value that the constructor checks itself."""
        invariant(
            name in self._values, "a component asks for a field that its spec lacks", name=name
        )
        return self._values[name]

    def has_path(self, name: str) -> bool:
        """True when the user wrote steps down this path."""
        return name in self._paths

    def has(self, name: str) -> bool:
        """True when the field has a value, its default included."""
        return self._values.get(name) is not None

    def _get(self, name: str, type_: type[_T]) -> _T:
        found = self._maybe(name, type_)
        invariant(found is not None, "a field without a value was not declared optional", name=name)
        if found is None:  # for the type checker; the invariant stops before
            raise InvalidConfig(name)
        return found

    def _maybe(self, name: str, type_: type[_T]) -> _T | None:
        value = self.anything(name)
        invariant(
            value is None or isinstance(value, type_),
            "a component asks for a field by another kind than its spec says",
            name=name,
        )
        return value  # type: ignore[no-any-return]  # checked by the invariant
