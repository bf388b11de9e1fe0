"""Paths whose names the user chooses: `route`, `branch`, `parallel`.

Each is a list of steps, or a map with `steps` and the fields that the step's spec declares for a
path. What must stay true: a name never stands for two paths of one step.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from molecule.component.config import Config
from molecule.component.spec import Spec
from molecule.definition.definition import StepNode
from molecule.definition.yaml_guard import Node

if TYPE_CHECKING:
    from molecule.definition.step_reading import Inside, StepReading

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class NamedPaths:
    """Reads the named paths of one step."""

    steps: "StepReading"
    node: Node
    spec: Spec
    where: str

    def read(
        self, below: "Inside", paths: dict[str, tuple[StepNode, ...]]
    ) -> Mapping[str, Config] | None:
        """The fields of each path; its steps are put before `paths`. None: there is a fault."""
        field = self.spec.named_paths
        if field is None:
            return {}
        reader, where = self.steps.reader, f"{self.where}.{field}"
        found = self.node.items.get(field)
        if found is None:
            reader.fault(self.node, self.where, f"{field} is missing", "names with their steps")
            return None
        if not reader.is_map(found, where):
            return None
        bound = reader.limits.paths_per_step_max
        if not 0 < len(found.items) <= bound:
            reader.fault(found, where, f"must name 1 to {bound} paths (paths_per_step_max)")
        fixed = dict(paths)
        paths.clear()
        named: dict[str, Config] = {}
        for name, item in found.items.items():
            here = f"{where}.{name}"
            if not _NAME.fullmatch(name):
                reader.fault(item, here, f"{name!r} is no name", "use a-z, 0-9, - and _")
            elif name in self.spec.paths:
                reader.fault(item, here, f"{name} is a path of its own", "choose another name")
            config = self._one(item, here, name, below, paths)
            if config is not None:
                named[name] = config
        paths.update(fixed)
        return named if len(named) == len(found.items) else None

    def _one(
        self,
        node: Node,
        where: str,
        name: str,
        below: "Inside",
        paths: dict[str, tuple[StepNode, ...]],
    ) -> Config | None:
        reader, fields = self.steps.reader, self.spec.path_fields
        if not fields:
            paths[name] = self.steps.steps(node, where, below)
            return Config({})
        if not reader.is_map(node, where):
            return None
        reader.unknown_fields(node, ("steps", *fields), where)
        if "steps" not in node.items:
            reader.fault(node, where, "steps is missing", "a list of steps")
            return None
        paths[name] = self.steps.steps(node.items["steps"], f"{where}.steps", below)
        return reader.config(node, fields, where)
