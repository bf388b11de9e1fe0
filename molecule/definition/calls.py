"""Processes that call each other: the steps of the called one are read where it is called.

A version holds what it calls, so it runs the same for ever. What must stay true: no process calls
itself, over however many others, and the steps of all of them together are bounded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from molecule.component.spec import Spec
from molecule.config import Limits
from molecule.definition.definition import StepNode
from molecule.definition.findings import Findings, did_you_mean
from molecule.definition.yaml_guard import Node, load

if TYPE_CHECKING:
    from molecule.definition.step_reading import Inside, StepReading

TRIGGER: Final = "called"
PROCESS: Final = "process"
RETURNS: Final = "returns"


@dataclass(slots=True)
class Processes:
    """The processes of a repository by name; their texts are read when the first one is called."""

    files: Mapping[str, bytes]
    limits: Limits
    _roots: dict[str, tuple[str, Node]] | None = None
    _depths: dict[str, int] = field(default_factory=dict)

    def all(self) -> Mapping[str, tuple[str, Node]]:
        """Name -> file and text; the first file of a name counts."""
        if self._roots is None:
            self._roots = {}
            for file in sorted(self.files):
                path = PurePosixPath(file)
                if path.parts[:1] != ("processes",) or path.suffix != ".yaml":
                    continue
                root = load(self.files[file], Findings(file, bound=1), self.limits)
                if root is not None and root.kind == "map" and "process" in root.items:
                    self._roots.setdefault(root.items["process"].text, (file, root))
        return self._roots

    def loop(self, name: str) -> list[str]:
        """A chain of calls from this process that comes back to one of its links; mostly none."""
        chain: list[str] = []
        done: set[str] = set()

        def visit(at: str) -> list[str]:
            if at in chain:
                return [*chain[chain.index(at) :], at]
            if at in done or len(chain) > self.limits.call_depth_max:
                return []
            chain.append(at)
            for called in self._called(at):
                if found := visit(called):
                    return found
            chain.pop()
            done.add(at)
            return []

        return visit(name)

    def depth(self, name: str) -> int:
        """How many processes deep the calls from this one go, itself included; at most one over."""
        known = self._depths.get(name)
        if known is None:
            bound = self.limits.call_depth_max + 1
            self._depths[name] = bound  # for a process that calls itself
            inner = max((self.depth(called) for called in self._called(name)), default=0)
            known = self._depths[name] = min(inner + 1, bound)
        return known

    def _called(self, name: str) -> list[str]:
        found = self.all().get(name)
        return sorted(set(_calls(found[1]))) if found else []


@dataclass(frozen=True, slots=True)
class CallReading:
    """Reads the steps of the process that one step calls."""

    steps: "StepReading"
    node: Node
    spec: Spec
    where: str

    def read(self, below: "Inside") -> dict[str, tuple[StepNode, ...]] | None:
        """`process`, and `returns` when what is handed back has a schema. None: a fault."""
        if self.spec.calls is None:
            return {}
        found = self.node.items.get(self.spec.calls)
        if found is None or not isinstance(found.value, str):
            return None  # told with the other fields
        name, where, reader = found.value, f"{self.where}.{self.spec.calls}", self.steps.reader
        fault = self._refused(name)
        if fault is not None:
            reader.fault(found, where, *fault)
            return None
        file, root = self.steps.processes.all()[name]
        findings = Findings(file, bound=1)
        inner = self.steps.inside_of(file, findings)
        paths = self._paths(inner, root, below)
        if findings.all:
            told = f"the process {name} has faults of its own"
            reader.fault(found, where, told, f"such as {findings.all[0]}")
            return None
        self.steps.used_processes.add(file)
        return paths

    def _refused(self, name: str) -> tuple[str, str] | None:
        processes, limits = self.steps.processes, self.steps.reader.limits
        if name not in processes.all():
            hint = did_you_mean(name, processes.all()) or f"add processes/{name}.yaml"
            return f"there is no process {name}", hint
        loop = processes.loop(name)
        if loop:
            return (
                f"{' calls '.join(loop)}: it would never end",
                "let one of them do without the call; foreach repeats steps",
            )
        if processes.depth(name) > limits.call_depth_max:
            return f"calls go deeper than {limits.call_depth_max} (call_depth_max)", ""
        trigger = processes.all()[name][1].items.get("trigger")
        type_ = trigger.items.get("type") if trigger is not None else None
        if type_ is None or type_.text != TRIGGER:
            return f"{name} cannot be called", f"give it trigger: {{type: {TRIGGER}}}"
        if self.steps.total[0] > limits.steps_per_process_max:
            told = f"with what it calls, more than {limits.steps_per_process_max} steps"
            return f"{told} (steps_per_process_max)", ""
        return None

    def _paths(
        self, inner: "StepReading", root: Node, below: "Inside"
    ) -> dict[str, tuple[StepNode, ...]]:
        own = below.of_called()
        written = root.items.get("steps")
        if written is None:
            inner.reader.fault(root, "", "steps is missing", "a process has a list of steps")
            return {}
        steps = inner.steps(written, "steps", own)
        paths = {PROCESS: (*self._schema(inner, root, "input", own), *steps)}
        returns = self._schema(inner, root, RETURNS, own)
        return {**paths, RETURNS: returns} if returns else paths

    def _schema(
        self, inner: "StepReading", root: Node, name: str, own: "Inside"
    ) -> tuple[StepNode, ...]:
        schema = root.items["trigger"].items.get(name)
        if schema is None or (schema.kind == "scalar" and schema.value is None):
            return ()
        place = (schema.line, schema.column)
        items = {
            "id": Node("scalar", *place, f"{name}-schema", f"{name}-schema"),
            "type": Node("scalar", *place, "validate", "validate"),
            "schema": schema,
        }
        node = Node("map", *place, items=items, keys=dict.fromkeys(items, place))
        return inner.steps(Node("list", *place, elements=[node]), f"trigger.{name}", own)


def _calls(root: Node) -> Iterator[str]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.elements)
        waiting.extend(node.items.values())
        type_, process = node.items.get("type"), node.items.get("process")
        if type_ is not None and type_.text == "call" and process is not None:
            yield process.text
