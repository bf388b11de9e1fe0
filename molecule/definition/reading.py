"""Fields from nodes, by kind: the one place where what a user wrote becomes a `Config`.

Every fault goes to the findings with its place; reading goes on, so that all are found at once.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.json_schema import Schema
from molecule.component.spec import Field, FieldKind
from molecule.config import Limits
from molecule.definition import durations
from molecule.definition.findings import Findings, did_you_mean
from molecule.definition.yaml_guard import Node
from molecule.expression.engine import Engine, Fault
from molecule.expression.expression import Expression, compile_one, together
from molecule.expression.template import Template, compile_template
from molecule.model.errors import InvalidConfig

CREDENTIAL_KINDS: Final = ("env:", "file:")
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading needs to know: where faults go, which names exist (None: not checked)."""

    findings: Findings
    engine: Engine
    limits: Limits
    tables: Collection[str] | None = None

    def fault(self, node: Node, where: str, what: str, hint: str = "") -> None:
        """A fault at this node."""
        self.findings.add((node.line, node.column), where, what, hint)

    def config(
        self,
        node: Node,
        fields: Mapping[str, Field],
        where: str,
        *,
        paths: Collection[str] = (),
        in_verify: bool = False,
        catches: tuple[tuple[str, ...], ...] = (),
        named: Mapping[str, Config] | None = None,
    ) -> Config | None:
        """The values of these fields in a map; None when one of them has a fault."""
        values: dict[str, Any] = {}
        sound = True
        for name, declared in fields.items():
            found = node.items.get(name)
            at = f"{where}.{name}" if where else name
            if found is None or (found.value is None and found.kind == "scalar"):
                if declared.required:
                    self.fault(node, where, f"{name} is missing", declared.doc)
                    sound = False
                else:
                    values[name] = self._default(declared, at)
                continue
            value = self._field(declared, found, at, name)
            sound = sound and value is not _MISSING
            values[name] = value
        if not sound:
            return None
        return Config(values, paths=paths, in_verify=in_verify, catches=catches, named=named)

    def unknown_fields(
        self,
        node: Node,
        known: Collection[str],
        where: str,
        later: Mapping[str, str] | None = None,
    ) -> None:
        """A fault for each key that is not known; one for each that is known to come later."""
        for key, place in node.keys.items():
            if key in known:
                continue
            at = f"{where}.{key}" if where else key
            if later and key in later:
                self.findings.add(place, at, f"{key} comes later", later[key])
            else:
                self.findings.add(place, at, f"unknown field {key}", did_you_mean(key, known))

    def expression(self, node: Node, where: str, name: str) -> Expression | None:
        """A compiled expression; `name` is what errors of documents will call it."""
        if node.kind != "scalar" or node.value is None:
            self.fault(node, where, "must be an expression", "write JSONata as one text")
            return None
        try:
            return compile_one(node.text, self.engine, field=name)
        except Fault as fault:
            self._bad_expression(node, where, fault)
            return None

    def text(self, node: Node, where: str) -> str | None:
        """A plain text."""
        if node.kind != "scalar" or not isinstance(node.value, str):
            self.fault(node, where, f"must be a text, is {_kind(node)}", "put it in quotes")
            return None
        if "${" in node.value:
            self.fault(node, where, "${...} is not replaced here", "write the value itself")
            return None
        return node.value

    def duration(self, node: Node, where: str) -> int | None:
        """Milliseconds."""
        found = durations.milliseconds(node.text) if node.kind == "scalar" else None
        if found is None:
            self.fault(node, where, "must be a duration", "such as 250ms, 5s, 30m, 2h or 1d")
        return found

    def choice(self, node: Node, where: str, choices: Collection[str]) -> str | None:
        """One of a few words."""
        if node.kind == "scalar" and node.text in choices:
            return node.text
        told = node.text if node.kind == "scalar" else _kind(node)
        hint = did_you_mean(told, choices, or_all=False)
        self.fault(node, where, f"must be one of {', '.join(choices)}; is {told}", hint)
        return None

    def integer(
        self, node: Node, where: str, *, minimum: int | None, maximum: int | None
    ) -> int | None:
        """A whole number within bounds."""
        value = node.value
        if node.kind != "scalar" or not isinstance(value, int) or isinstance(value, bool):
            self.fault(node, where, f"must be a whole number, is {_kind(node)}")
            return None
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            self.fault(node, where, f"must be from {minimum} to {maximum}, is {value}")
            return None
        return value

    def is_map(self, node: Node, where: str) -> bool:
        """True for a map; otherwise a fault."""
        if node.kind != "map":
            self.fault(node, where, f"must be a map of fields, is {_kind(node)}")
        return node.kind == "map"

    def text_map(self, node: Node, where: str) -> dict[str, str] | None:
        """Names to texts; numbers and booleans are taken as written."""
        if not self.is_map(node, where):
            return None
        found: dict[str, str] = {}
        for key, item in node.items.items():
            if item.kind != "scalar" or item.value is None:
                self.fault(item, f"{where}.{key}", f"must be a text, is {_kind(item)}")
                return None
            found[key] = item.text
        return found

    def _default(self, declared: Field, where: str) -> Any:
        if declared.default is None:
            return None
        if declared.kind is FieldKind.DURATION:
            return durations.milliseconds(str(declared.default))
        if declared.kind is FieldKind.TEMPLATE:
            return compile_template(declared.default, self.engine, field=where)
        return declared.default

    def _field(self, declared: Field, node: Node, where: str, name: str) -> Any:
        found = self._readers()[declared.kind](declared, node, where, name)
        return _MISSING if found is None else found

    def _readers(self) -> dict[FieldKind, Callable[[Field, Node, str, str], Any]]:
        return {
            FieldKind.EXPRESSION: lambda _, node, at, name: self.expression(node, at, name),
            FieldKind.MAPPING: self._mapping,
            FieldKind.TEMPLATE: lambda _, node, at, name: self._template(node, at, name),
            FieldKind.TEXT: lambda _, node, at, __: self.text(node, at),
            FieldKind.INTEGER: lambda field, node, at, _: self.integer(
                node, at, minimum=field.minimum, maximum=field.maximum
            ),
            FieldKind.BOOLEAN: lambda _, node, at, __: self._boolean(node, at),
            FieldKind.DURATION: lambda _, node, at, __: self.duration(node, at),
            FieldKind.CHOICE: self._choice,
            FieldKind.RULES: lambda _, node, at, name: self._rules(node, at, name),
            FieldKind.SCHEMA: lambda _, node, at, __: self._schema(node, at),
            FieldKind.TEXTS: lambda _, node, at, __: self._texts(node, at),
            FieldKind.TEXT_MAP: lambda _, node, at, __: self.text_map(node, at),
            FieldKind.TABLE: lambda _, node, at, __: self._table(node, at),
            FieldKind.CREDENTIAL: lambda _, node, at, __: self._credential(node, at),
            FieldKind.ANY: lambda _, node, __, ___: node.plain(),
        }

    def _choice(self, declared: Field, node: Node, where: str, name: str) -> str | None:
        del name
        if declared.maximum is None or not isinstance(node.value, int) or node.value is True:
            return self.choice(node, where, declared.choices)
        found = self.integer(node, where, minimum=declared.minimum, maximum=declared.maximum)
        return None if found is None else str(found)

    def _rules(
        self, node: Node, where: str, name: str
    ) -> tuple[tuple[str, Expression | None], ...] | None:
        if node.kind != "list" or not node.elements:
            self.fault(node, where, "must be a list of {name, that}")
            return None
        found: list[tuple[str, Expression | None]] = []
        for at, item in enumerate(node.elements):
            here = f"{where}[{at}]"
            if not self.is_map(item, here):
                return None
            self.unknown_fields(item, ("name", "that"), here)
            missing = [part for part in ("name", "that") if part not in item.items]
            for part in missing:
                self.fault(item, here, f"{part} is missing", "write {name: TEXT, that: EXPRESSION}")
            if missing:
                found.append(("", None))
                continue
            title = self.text(item.items["name"], f"{here}.name") or ""
            that = self.expression(item.items["that"], f"{here}.that", f"{name}.{title}")
            found.append((title, that))
        titles = [title for title, _ in found]
        if len(set(titles)) < len(titles):
            self.fault(node, where, "each rule needs a name of its own")
            return None
        return None if any(that is None or not title for title, that in found) else tuple(found)

    def _schema(self, node: Node, where: str) -> Schema | None:
        try:
            return Schema(node.plain())
        except InvalidConfig as error:
            self.fault(node, where, error.message)
            return None

    def _mapping(self, declared: Field, node: Node, where: str, name: str) -> Any:
        if node.kind == "scalar" and declared.or_expression:
            return self.expression(node, where, name)
        if node.kind != "map" or not node.items:
            self.fault(node, where, f"must map names to expressions, is {_kind(node)}")
            return None
        found = {
            key: self.expression(item, f"{where}.{key}", f"{name}.{key}")
            for key, item in node.items.items()
        }
        sound = {key: item for key, item in found.items() if item is not None}
        return together(sound, self.engine) if len(sound) == len(found) else None

    def _template(self, node: Node, where: str, name: str) -> Template | None:
        try:
            return compile_template(
                node.plain(), self.engine, field=name, braces_max=self.limits.template_braces_max
            )
        except Fault:
            self._bad_texts(node, where, name)
            return None

    def _bad_texts(self, node: Node, where: str, name: str) -> None:
        """One fault for each text below that has one."""
        for key, item in node.items.items():
            self._bad_texts(item, f"{where}.{key}", name)
        for at, item in enumerate(node.elements):
            self._bad_texts(item, f"{where}[{at}]", name)
        if node.kind == "scalar":
            try:
                compile_template(
                    node.value, self.engine, braces_max=self.limits.template_braces_max
                )
            except Fault as fault:
                self._bad_expression(node, where, fault)

    def _bad_expression(self, node: Node, where: str, fault: Fault) -> None:
        column = node.column
        if node.offset is not None and fault.position is not None:
            column += node.offset + fault.position
        self.findings.add((node.line, column), where, fault.message, fault.hint)

    def _boolean(self, node: Node, where: str) -> bool | None:
        if node.kind == "scalar" and isinstance(node.value, bool):
            return node.value
        self.fault(node, where, f"must be true or false, is {_kind(node)}")
        return None

    def _texts(self, node: Node, where: str) -> tuple[str, ...] | None:
        items = node.elements if node.kind == "list" else [node]
        found = [self.text(item, f"{where}[{at}]") for at, item in enumerate(items)]
        sound = tuple(item for item in found if item is not None)
        return sound if len(sound) == len(found) else None

    def _table(self, node: Node, where: str) -> str | None:
        name = self.text(node, where)
        if name is not None and self.tables is not None and name not in self.tables:
            hint = did_you_mean(name, self.tables) or f"add tables/{name}.csv"
            self.fault(node, where, f"there is no table {name}", hint)
            return None
        return name

    def _credential(self, node: Node, where: str) -> str | None:
        text = self.text(node, where)
        if text is not None and not text.startswith(CREDENTIAL_KINDS):
            self.fault(
                node, where, "must refer to a secret, not be one", "write env:NAME or file:PATH"
            )
            return None
        return text


def _kind(node: Node) -> str:
    if node.kind != "scalar":
        return "a map" if node.kind == "map" else "a list"
    if node.value is None:
        return "nothing"
    return f"{type(node.value).__name__} {node.text!r}" if len(node.text) < 60 else "a long text"
