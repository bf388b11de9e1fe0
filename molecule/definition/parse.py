"""A process's text as a `ProcessDefinition`, with every fault of it found at once."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from molecule.component.contract import ListeningTrigger
from molecule.component.registry import Registry
from molecule.component.spec import Spec
from molecule.config import Limits
from molecule.definition import calls, later, volatile
from molecule.definition.calls import Processes
from molecule.definition.definition import Place, ProcessDefinition, TriggerNode
from molecule.definition.findings import Findings, did_you_mean
from molecule.definition.options import read_options
from molecule.definition.reading import Reader
from molecule.definition.step_reading import Inside, StepReading
from molecule.definition.yaml_guard import Node, load
from molecule.model.errors import Finding, UnknownComponent
from molecule.model.ids import ProcessName

LANGUAGE_VERSION: Final = 1
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_KNOWN: Final = ("molecule", "process", "description", "owner", "trigger", "options", "steps")


@dataclass(frozen=True, slots=True)
class Parsed:
    """`definition` is None exactly when there are findings."""

    definition: ProcessDefinition | None
    findings: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def parse_process(
    content: bytes,
    file: str,
    registry: Registry,
    limits: Limits,
    *,
    connections: Mapping[str, str] | None = None,
    tables: Collection[str] | None = None,
    processes: Processes | None = None,
) -> Parsed:
    """The process in this text.

    `connections` (name -> connector) and `tables` are what the repository has; None: names are
    taken as they are. `processes` are those that it may call.
    """
    findings = Findings(file, bound=limits.findings_max)
    definition = None
    root = load(content, findings, limits)
    if root is not None:
        reader = Reader(findings, registry.expressions, limits, tables)
        steps = StepReading(reader, registry, file, connections)
        steps.processes = processes or steps.processes
        definition = _Process(root, reader, steps).read()
    faults = findings.in_order()
    return Parsed(None if faults else definition, faults, findings.warnings_in_order())


@dataclass(frozen=True, slots=True)
class _Process:
    root: Node
    reader: Reader
    steps: StepReading

    def read(self) -> ProcessDefinition | None:
        if not self.reader.is_map(self.root, ""):
            return None
        self.reader.unknown_fields(self.root, _KNOWN, "")
        self._language()
        name = self._name()
        trigger = self._trigger()
        options = read_options(self.root.items.get("options"), self.reader)
        if trigger is not None and trigger.type == calls.TRIGGER and "options" in self.root.items:
            what = "options of a called process have no effect"
            self.reader.fault(
                self.root.items["options"], "options", what, "those of its caller hold"
            )
        found = self.root.items.get("steps")
        if found is None:
            self.reader.fault(self.root, "", "steps is missing", "a process has a list of steps")
            return None
        steps = self.steps.steps(found, "steps", Inside())
        volatile.check(
            self.root,
            self.reader,
            options=options,
            trigger=trigger,
            steps=steps,
            file=self.steps.file,
        )
        if trigger is None:
            return None
        return ProcessDefinition(
            ProcessName(name),
            self._text("description"),
            self._text("owner"),
            trigger,
            options,
            steps,
            tuple(sorted(self.steps.used_connections)),
            tuple(sorted(self.steps.used_tables)),
            self.steps.file,
            tuple(sorted(self.steps.used_processes)),
        )

    def _language(self) -> None:
        found = self.root.items.get("molecule")
        hint = f"write molecule: {LANGUAGE_VERSION}"
        if found is None:
            self.reader.fault(self.root, "molecule", "the language version is missing", hint)
        elif found.value != LANGUAGE_VERSION or isinstance(found.value, bool):
            self.reader.fault(found, "molecule", f"unknown language version {found.text}", hint)

    def _name(self) -> str:
        found = self.root.items.get("process")
        if found is None:
            self.reader.fault(self.root, "process", "the process has no name")
            return ""
        name = self.reader.text(found, "process") or ""
        if name and not NAME.fullmatch(name):
            self.reader.fault(
                found, "process", f"{name!r} is no name", "use a-z, 0-9 and -, at most 63"
            )
        return name

    def _text(self, name: str) -> str:
        found = self.root.items.get(name)
        return (self.reader.text(found, name) or "") if found else ""

    def _trigger(self) -> TriggerNode | None:
        node = self.root.items.get("trigger")
        if node is None:
            # A process without a trigger is started by those who may submit.
            node = Node("map", self.root.line, self.root.column)
            node.items["type"] = Node("scalar", node.line, node.column, "manual", "manual")
        if not self.reader.is_map(node, "trigger"):
            return None
        found = node.items.get("type")
        type_ = self.reader.text(found, "trigger.type") if found else None
        if found is None:
            self.reader.fault(node, "trigger", "type is missing", "such as manual or file.watch")
        if found is None or type_ is None:
            return None
        registry = self.steps.registry
        try:
            component = registry.trigger(type_)
        except UnknownComponent:
            comes = type_ in later.TRIGGERS
            what = f"the trigger {type_} comes later" if comes else f"there is no trigger {type_}"
            hint = did_you_mean(type_, registry.triggers)
            self.reader.fault(found, "trigger.type", what, "" if comes else hint)
            return None
        spec = component.spec
        if not isinstance(spec, Spec):
            return None
        known = ("type", *spec.fields, *(("connection",) if spec.connection else ()))
        self.reader.unknown_fields(node, known, "trigger")
        connection = self.steps.connection(node, component, "trigger") if spec.connection else None
        config = self.reader.config(node, spec.fields, "trigger")
        made = self.steps.make(component, config, node, "trigger")
        if config is None or made is None:
            return None
        place = Place(self.steps.file, node.line, node.column)
        listening = made.listening if isinstance(made, ListeningTrigger) else None
        return TriggerNode(
            type_,
            made,
            config,
            connection,
            place,
            consumes=spec.runs,
            listening=listening,
        )
