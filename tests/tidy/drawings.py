"""What the pages draw from the code: states, settings, durations, limits, components.

Each drawing is text made from the same objects that the product uses, so a page cannot disagree.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from chaos.report.record import reliability
from molecule.component import registry
from molecule.component.registry import Component
from molecule.component.spec import ConnectorSpec, Field, FieldKind, Spec
from molecule.config import Limits, NodeConfig, Timing
from molecule.model.execution import ACTIVE, PARKED, TERMINAL, TRANSITIONS
from tests.bench.page import performance

_KINDS: Final = (("trigger", "Triggers"), ("step", "Steps"), ("operation", "Operations"))


def states() -> str:
    """The transition table as a mermaid diagram, in the order in which states are declared."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> PENDING"]
    for state, targets in TRANSITIONS.items():
        lines += [f"    {state} --> {target}" for target in TRANSITIONS if target in targets]
    lines += [f"    {state} --> [*]" for state in TRANSITIONS if state in TERMINAL]
    kinds = (("active", ACTIVE), ("parked", PARKED), ("terminal", TERMINAL))
    for kind, members in kinds:
        lines.append(
            f"    class {','.join(each for each in TRANSITIONS if each in members)} {kind}"
        )
    return "\n".join([*lines, "```"])


def settings() -> str:
    """The fields of a node's configuration file."""
    rows = []
    for name, field in NodeConfig.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default())
        rows.append((f"`{name}`", default, field.description or _MEANINGS.get(name, "")))
    return _table(("field", "default", "meaning"), rows)


_MEANINGS: Final = {
    "cluster": "name of the cluster; certificates carry it",
    "id": "name of this node; never changes",
    "data": "data folder; belongs to this node alone",
    "rpc": "where other nodes reach this one",
    "http": "where HTTPS is served",
    "labels": "key-value pairs that `placement` looks at",
    "zone": "where the node stands",
    "workers": "worker processes",
    "tls": "certificate between nodes: `ca`, `certificate`, `key`",
    "timing_profile": "`relaxed` makes every duration four times as long",
    "timing": "see [durations](#durations)",
    "limits": "see [limits](#limits)",
    "headroom": "see [room on the disk](#room-on-the-disk)",
    "retention": "see [retention](#retention)",
    "log_level": "least level that is written",
}


def timings() -> str:
    """The durations and their defaults."""
    return _numbers(Timing, "milliseconds")


def limits() -> str:
    """The bounds and their defaults."""
    return _numbers(Limits, "default")


def components() -> str:
    """Every component that is built in, by kind and name."""
    known = registry.discover(extensions=False)
    parts = []
    connectors = sorted(_of(known.components(), "connector"), key=lambda each: each.type)
    for kind, title in _KINDS:
        parts.append(f"## {title}")
        parts += [_component(each) for each in sorted(_of(known.components(), kind), key=_name)]
    parts.append("## Connectors")
    parts += [_component(each) for each in connectors]
    return "\n\n".join(parts)


DRAWINGS: Final[Mapping[str, Callable[[], str]]] = {
    "states": states,
    "settings": settings,
    "timings": timings,
    "limits": limits,
    "components": components,
    "performance": performance,
    "reliability": reliability,
    "performance-slower-machine": partial(performance, "performance-slower-machine"),
}


def _name(component: Component) -> str:
    return component.type


def _of(known: Iterable[Component], kind: str) -> list[Component]:
    return [component for component in known if component.kind == kind]


def _component(component: Component) -> str:
    spec = component.spec
    lines = [f"### `{component.type}`", "", spec.summary]
    if isinstance(spec, Spec):
        lines += ["", *_facts(spec, component.kind)]
    fields = {**spec.fields}
    if isinstance(spec, Spec):
        inner = spec.path_fields.items()
        fields |= {f"{spec.named_paths}.NAME.{name}": declared for name, declared in inner}
    if fields:
        lines += ["", _table(("field", "kind", "default", "meaning"), map(_field, fields.items()))]
    if spec.example is not None:
        lines += ["", "```yaml", inspect.cleandoc(spec.example.config), "```"]
    if isinstance(spec, ConnectorSpec) and spec.addresses:
        named = ", ".join(f"`{name}`" for name in spec.addresses)
        lines += ["", f"Only in environments: {named}."]
    return "\n".join(lines)


def _facts(spec: Spec, kind: str) -> list[str]:
    facts = []
    if kind != "trigger":
        effect = spec.effect.value if spec.effect else "by its settings"
        facts.append(f"Per {spec.per.partition(':')[0]}. Effect: {effect}.")
    if spec.paths:
        facts.append(f"Paths: {', '.join(f'`{path}`' for path in spec.paths)}.")
    if spec.named_paths:
        facts.append(f"Paths of your own names: `{spec.named_paths}`.")
    if spec.closed_paths:
        ends = ", ".join(f"`{path}`" for path in spec.closed_paths)
        facts.append(f"Documents end with {ends}.")
    if spec.errors:
        facts.append(f"Errors: {spec.errors}")
    told = [" ".join(facts), ""] if facts else []
    return [*told, f"Across failover: {spec.across_failover}"]


def _field(item: tuple[str, Field]) -> tuple[str, str, str, str]:
    name, field = item
    kind = " or ".join(f"`{each}`" for each in field.choices) or field.kind.value
    if field.kind is FieldKind.MAPPING:
        kind = "names to expressions"
    default = "required" if field.required else _default(field.default)
    return f"`{name}`", kind, default, field.doc


def _numbers(model: type[BaseModel], heading: str) -> str:
    rows = [(f"`{name}`", f"{field.default:,}") for name, field in model.model_fields.items()]
    return _table(("name", heading), rows)


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if isinstance(value, str | tuple | dict) and not value:
        return "empty"
    return f"`{value}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
