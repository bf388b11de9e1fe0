"""Steps from nodes: looks a step's type up, reads it by its spec, makes its component.

A component's constructor has the last word on its configuration; what it refuses becomes a finding
at the step. Ids are unique in the whole process, so that a name in a log, a test or an answer is
enough.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.registry import Component, Registry
from molecule.component.spec import Spec
from molecule.config import Limits
from molecule.definition import later
from molecule.definition.calls import CallReading, Processes
from molecule.definition.definition import Output, OutputMode, Place, StepNode, Verify
from molecule.definition.findings import Findings, did_you_mean
from molecule.definition.named_paths import NamedPaths
from molecule.definition.reading import Reader
from molecule.definition.step_fields import COMMON, FieldReader
from molecule.definition.yaml_guard import Node
from molecule.model.effect import Effect
from molecule.model.errors import InvalidConfig, UnknownComponent
from molecule.model.ids import StepId

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VERIFY_FIELDS: Final = ("steps", "done_if", "not_done_if", "after")
_CATCH_FIELDS: Final = ("errors", "steps")


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a list of steps stands."""

    path: str = ""
    foreach: bool = False
    verify: bool = False
    branches: bool = False
    """In one of several paths that the same documents go down."""

    def of_called(self) -> "Inside":
        """The steps of a called process: they know nothing of the blocks around the call."""
        return Inside(self.path, verify=self.verify)


@dataclass(slots=True)
class StepReading:
    """Reads the steps of one process; remembers ids, connections and tables on its way."""

    reader: Reader
    registry: Registry
    file: str
    connections: Mapping[str, str] | None
    """Known connections and their connectors; None: not checked."""
    ids: dict[str, int] = field(default_factory=dict)
    used_connections: set[str] = field(default_factory=set)
    used_tables: set[str] = field(default_factory=set)
    processes: Processes = field(default_factory=lambda: Processes({}, Limits()))
    """Those that may be called."""
    used_processes: set[str] = field(default_factory=set)
    """Files of those that are."""
    total: list[int] = field(default_factory=lambda: [0])
    """Steps read so far, those of called processes included."""

    def steps(self, node: Node, where: str, inside: Inside) -> tuple[StepNode, ...]:
        """The steps of a list; what has a fault is left out."""
        if node.kind != "list":
            self.reader.fault(node, where, "must be a list of steps", "begin each with - id:")
            return ()
        if not node.elements:
            self.reader.fault(node, where, "has no steps")
        found = [
            self._step(item, f"{where}[{at}]", inside) for at, item in enumerate(node.elements)
        ]
        return tuple(step for step in found if step is not None)

    def inside_of(self, file: str, findings: Findings) -> "StepReading":
        """Reads the steps of a called process: ids of its own, all else together with these."""
        return replace(self, reader=replace(self.reader, findings=findings), file=file, ids={})

    def connection(self, node: Node, component: Component, where: str) -> str | None:
        """The name of the connection that this step or trigger uses, checked."""
        found = node.items.get("connection")
        if found is None:
            self.reader.fault(node, where, "connection is missing", "name one of connections/")
            return None
        name = self.reader.text(found, f"{where}.connection")
        if name is None:
            return None
        self.used_connections.add(name)
        if self.connections is None:
            return name
        if name not in self.connections:
            hint = did_you_mean(name, self.connections) or f"add connections/{name}.yaml"
            self.reader.fault(found, f"{where}.connection", f"there is no connection {name}", hint)
        elif self.connections[name] != component.connector:
            self.reader.fault(
                found,
                f"{where}.connection",
                f"{name} is of connector {self.connections[name]}",
                f"{component.type} needs {component.connector}",
            )
        return name

    def make(self, component: Component, config: Config | None, node: Node, where: str) -> Any:
        """The component's instance; None when it, or its configuration, has a fault."""
        if config is None:
            return None
        try:
            return component.build(config)
        except InvalidConfig as error:
            self.reader.fault(node, where, error.message)
            return None

    def _step(self, node: Node, where: str, inside: Inside) -> StepNode | None:
        if not self.reader.is_map(node, where):
            return None
        id_, component = self._id(node, where), self._component(node, where)
        if component is None or not isinstance(component.spec, Spec):
            return None
        spec = component.spec
        path = f"{inside.path}/{id_}" if inside.path else id_
        fields = FieldReader(self.reader, node, where)
        self._check_fields(node, spec, where)
        self._check_way_back(node, spec, where, inside)
        below = _below(inside, spec, path)
        paths = self._paths(node, spec, where, below)
        named = NamedPaths(self, node, spec, where).read(below, paths)
        called = CallReading(self, node, spec, where).read(below)
        catches = self._catches(node, spec, where, below, fields)
        caught = {f"catch.{at}": steps for at, (_, steps) in enumerate(catches)}
        paths = {**paths, **(called or {}), **caught}
        config = self.reader.config(
            node,
            spec.fields,
            where,
            paths=paths,
            in_verify=inside.verify,
            catches=tuple(errors for errors, _ in catches),
            named=named or {},
        )
        made = self.make(component, None if None in (named, called) else config, node, where)
        connection = self.connection(node, component, where) if spec.connection else None
        is_operation = component.kind == "operation"
        declared = made.effect if is_operation and made is not None else spec.effect
        effect = fields.effect(declared or Effect.PURE, is_operation=is_operation)
        retry = fields.retry(effect)
        verify = self._verify(node, where, Inside(path, verify=True), effect)
        if config is None or made is None:
            return None
        self._note_tables(spec, config)
        self._check_in_verify(node, where, inside, component, effect)
        return StepNode(
            StepId(id_),
            path,
            component.type,
            fields.label(),
            spec,
            component.kind,
            made,
            config,
            Place(self.file, node.line, node.column),
            paths,
            connection=connection,
            when=self._expression(node, where, "when"),
            retry=retry,
            timeout_ms=self._timeout(fields, spec, is_operation=is_operation),
            on_error=fields.on_error(inside_foreach=inside.foreach),
            effect=effect,
            effect_key=self._expression(node, where, "effect_key"),
            verify=verify,
            output=_output(fields, made, is_operation=is_operation, inside=inside),
        )

    def _check_way_back(self, node: Node, spec: Spec, where: str, inside: Inside) -> None:
        if spec.hands_back and inside.verify:
            self.reader.fault(node, where, "nothing can be handed back from verify")
        elif spec.hands_back and inside.branches:
            what = "nothing can be handed back from a path of branch or parallel"
            self.reader.fault(node, where, what, "the other paths have the documents too")

    def _check_in_verify(
        self, node: Node, where: str, inside: Inside, component: Component, effect: Effect
    ) -> None:
        if inside.verify and isinstance(component.spec, Spec) and component.spec.waits:
            what = f"a step of verify must only ask; {component.type} waits"
            self.reader.fault(node, where, what)
        if inside.verify and effect is not Effect.PURE:
            self.reader.fault(node, where, f"a step of verify must only ask; this is {effect}")

    def _id(self, node: Node, where: str) -> str:
        self.total[0] += 1
        found = node.items.get("id")
        if found is None:
            self.reader.fault(node, where, "id is missing", "a short name, unique in the process")
            return "?"
        id_ = self.reader.text(found, f"{where}.id")
        if id_ is None:
            return "?"
        if not _ID.fullmatch(id_):
            self.reader.fault(
                found, f"{where}.id", f"{id_!r} is no id", "use a-z, 0-9, - and _, at most 63"
            )
        if id_ in self.ids:
            self.reader.fault(
                found, f"{where}.id", f"the id {id_} stands twice, first in line {self.ids[id_]}"
            )
        self.ids.setdefault(id_, found.line)
        if len(self.ids) == self.reader.limits.steps_per_process_max + 1:
            self.reader.fault(found, where, f"more than {len(self.ids) - 1} steps")
        return id_

    def _component(self, node: Node, where: str) -> Component | None:
        found = node.items.get("type")
        if found is None:
            self.reader.fault(node, where, "type is missing", "such as map or http.request")
            return None
        type_ = self.reader.text(found, f"{where}.type")
        if type_ is None:
            return None
        try:
            return self.registry.step(type_)
        except UnknownComponent:
            if type_ in later.STEPS or type_.startswith("data."):
                self.reader.fault(found, f"{where}.type", f"the step {type_} comes later")
            else:
                hint = did_you_mean(type_, self.registry.steps)
                self.reader.fault(found, f"{where}.type", f"there is no step {type_}", hint)
            return None

    def _check_fields(self, node: Node, spec: Spec, where: str) -> None:
        known = {*COMMON, *spec.fields, *spec.paths}
        if spec.connection:
            known.add("connection")
        known.update(name for name in (spec.catch_path, spec.named_paths) if name)
        self.reader.unknown_fields(node, known, where, later.STEP_FIELDS)

    def _paths(
        self, node: Node, spec: Spec, where: str, below: Inside
    ) -> dict[str, tuple[StepNode, ...]]:
        found: dict[str, tuple[StepNode, ...]] = {}
        for name in spec.paths:
            if name in node.items:
                found[name] = self.steps(node.items[name], f"{where}.{name}", below)
            elif name in spec.required_paths:
                self.reader.fault(node, where, f"{name} is missing", "a list of steps")
        return found

    def _catches(
        self, node: Node, spec: Spec, where: str, below: Inside, fields: FieldReader
    ) -> list[tuple[tuple[str, ...], tuple[StepNode, ...]]]:
        catch = node.items.get(spec.catch_path) if spec.catch_path else None
        if catch is None:
            return []
        where = f"{where}.{spec.catch_path}"
        if catch.kind != "list":
            self.reader.fault(catch, where, "must be a list of {errors, steps}")
            return []
        found: list[tuple[tuple[str, ...], tuple[StepNode, ...]]] = []
        for at, item in enumerate(catch.elements):
            here = f"{where}[{at}]"
            if not self.reader.is_map(item, here):
                continue
            self.reader.unknown_fields(item, _CATCH_FIELDS, here)
            errors = item.items.get("errors")
            caught = fields.errors(errors, f"{here}.errors") if errors else ()
            if "steps" not in item.items:
                self.reader.fault(item, here, "steps is missing", "a list of steps")
                continue
            found.append((caught, self.steps(item.items["steps"], f"{here}.steps", below)))
        return found

    def _verify(self, node: Node, where: str, inside: Inside, effect: Effect) -> Verify | None:
        found, here = node.items.get("verify"), f"{where}.verify"
        if found is None:
            if effect is Effect.ONCE and not inside.path.startswith("?"):
                self.reader.findings.warn(
                    (node.line, node.column),
                    where,
                    "a once step without verify waits for a person when its outcome is unknown",
                    "declare verify with steps that ask the target",
                )
            return None
        if not self.reader.is_map(found, here):
            return None
        self.reader.unknown_fields(found, _VERIFY_FIELDS, here)
        missing = [name for name in ("steps", "done_if") if name not in found.items]
        for name in missing:
            self.reader.fault(found, here, f"{name} is missing")
        steps = (
            self.steps(found.items["steps"], f"{here}.steps", inside)
            if "steps" in found.items
            else ()
        )
        done_if = self._expression(found, here, "done_if")
        not_done_if = self._expression(found, here, "not_done_if")
        after = found.items.get("after")
        after_ms = self.reader.duration(after, f"{here}.after") if after else 0
        if done_if is None:
            return None
        return Verify(steps, done_if, not_done_if, after_ms or 0)

    def _expression(self, node: Node, where: str, name: str) -> Any:
        found = node.items.get(name)
        return self.reader.expression(found, f"{where}.{name}", name) if found else None

    def _timeout(self, fields: FieldReader, spec: Spec, *, is_operation: bool) -> int | None:
        found = fields.timeout_ms()
        if found is not None and not is_operation and not spec.has_timeout:
            self.reader.fault(
                fields.node.items["timeout"],
                f"{fields.where}.timeout",
                "timeout belongs to operations of connectors and to await",
                "options.timeout bounds the whole execution",
            )
        if found is None and is_operation:
            return self.reader.limits.operation_timeout_default_ms
        return found

    def _note_tables(self, spec: Spec, config: Config) -> None:
        for name, declared in spec.fields.items():
            if declared.kind == "table" and config.has(name):
                self.used_tables.add(config.text(name))


def _below(inside: Inside, spec: Spec, path: str) -> Inside:
    # In a body whose errors may be caught a failure must reach the catch, so it fails the body.
    is_each = spec.per == "block:each" or (inside.foreach and spec.catch_path is None)
    return Inside(path, is_each, inside.verify, inside.branches or spec.per == "block:paths")


def _output(fields: FieldReader, made: Any, *, is_operation: bool, inside: Inside) -> Output:
    if is_operation and inside.verify:
        return Output(OutputMode.REPLACE)
    return fields.output(made.default_output if is_operation else "replace")
