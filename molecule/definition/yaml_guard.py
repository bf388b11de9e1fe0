"""YAML that a stranger wrote, as nodes with places; every trick of the format refused.

The event stream is walked and nothing else of the library is used: no composer that recurses, no
constructor that makes objects. Scalars follow YAML 1.2 (`NO` is a text). What must stay true: work
and memory are bounded by the size of the text, whatever it says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import yaml

from molecule.config import Limits
from molecule.definition.findings import Findings

Kind = Literal["map", "list", "scalar"]

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_EXACT_MAX: Final = 2**53 - 1


@dataclass(slots=True)
class Node:
    """One value and where it stands (from 1). `items` of a map are in file order.

    `text` is the scalar as written; `offset` is the column shift of its first character, None when
    characters of the text cannot be found back in the file (folded or escaped).
    """

    kind: Kind
    line: int
    column: int
    value: Any = None
    text: str = ""
    offset: int | None = None
    items: dict[str, "Node"] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    elements: list["Node"] = field(default_factory=list)

    def plain(self) -> Any:
        """The value without places."""
        if self.kind == "map":
            return {key: item.plain() for key, item in self.items.items()}
        if self.kind == "list":
            return [item.plain() for item in self.elements]
        return self.value


class _Refused(Exception):
    pass


def load(content: bytes, findings: Findings, limits: Limits) -> Node | None:
    """The one document in this text; None with findings when there is none or it is refused."""
    if len(content) > limits.yaml_bytes_max:
        findings.add((1, 1), "", f"larger than yaml_bytes_max, {limits.yaml_bytes_max} bytes")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        findings.add((line, 1), "", "not UTF-8")
        return None
    walk = _Walk(findings, limits)
    before = len(findings.all)
    try:
        root = walk.document(_events(text))
    except yaml.YAMLError as error:
        findings.add(_mark(error), "", f"not YAML: {_problem(error)}")
        return None
    except _Refused:
        return None
    return root if len(findings.all) == before else None


def _events(text: str) -> Iterator[Any]:
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    yield from yaml.parse(text, Loader=loader)


class _Walk:
    """Builds nodes from events with a stack of its own, so that depth costs no recursion."""

    def __init__(self, findings: Findings, limits: Limits) -> None:
        self._findings = findings
        self._limits = limits
        self._stack: list[Node] = []
        self._keys: list[tuple[str, tuple[int, int]] | None] = []
        self._root: Node | None = None
        self._documents = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        for count, event in enumerate(events):
            if count >= self._limits.yaml_events_max:
                self._refuse(event, f"more than yaml_events_max, {self._limits.yaml_events_max}")
            self._take(event)
        if self._root is None and not self._findings.all:
            self._findings.add((1, 1), "", "the file is empty")
        return self._root

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "more than one document", "write one file each")
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"aliases are refused: *{event.anchor}", "write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            self._plain_only(event)
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._plain_only(event)
            kind: Kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            node = Node(kind, *_place(event))
            self._add(node, event)
            if len(self._stack) >= self._limits.yaml_depth_max:
                self._refuse(event, f"nested deeper than {self._limits.yaml_depth_max} levels")
            self._stack.append(node)
            self._keys.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
            self._keys.pop()

    def _plain_only(self, event: Any) -> None:
        if event.anchor:
            self._refuse(event, f"anchors are refused: &{event.anchor}", "write the value out")
        if event.tag and event.tag != "!":
            self._refuse(event, f"tags are refused: {event.tag}", "remove it")

    def _scalar(self, event: Any) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.kind == "map" and self._keys[-1] is None:
            self._keys[-1] = (event.value, _place(event))
            return
        line, column = _place(event)
        on_one_line = event.start_mark.line == event.end_mark.line
        offset: int | None = None
        if on_one_line and event.style in {None, "", "'", '"'}:
            written = event.end_mark.column - event.start_mark.column
            quotes = 1 if event.style in {"'", '"'} else 0
            # Shorter than written means that something was escaped: then no offset is right.
            offset = quotes if written == len(event.value) + 2 * quotes else None
        value = _resolved(event.value) if not event.style and event.implicit[0] else event.value
        self._add(Node("scalar", line, column, value, event.value, offset), event)

    def _add(self, node: Node, event: Any) -> None:
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        if parent.kind == "list":
            parent.elements.append(node)
            return
        waiting = self._keys[-1]
        if waiting is None:
            self._refuse(event, "a key must be a text")
            return
        key, place = waiting
        self._keys[-1] = None
        if key in parent.items:
            first = parent.keys[key]
            self._findings.add(
                place, key, f"the key {key!r} stands twice, first in line {first[0]}", "keep one"
            )
            return
        parent.items[key] = node
        parent.keys[key] = place

    def _refuse(self, event: Any, what: str, hint: str = "") -> None:
        self._findings.add(_place(event), "", what, hint)
        raise _Refused


def _resolved(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        number = int(text)
        # Beyond this a number would lose digits on its way through expressions: it stays a text.
        return number if abs(number) <= _EXACT_MAX else text
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _mark(error: yaml.YAMLError) -> tuple[int, int]:
    mark = getattr(error, "problem_mark", None)
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    context = getattr(error, "context", None)
    return f"{problem} ({context})" if context else str(problem or error)
