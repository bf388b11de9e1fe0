"""Builders for tests of components: a step made from YAML, a call with its fence, a context."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any

from molecule.component.config import Config
from molecule.component.contract import CallContext, StepContext, Table
from molecule.component.registry import Registry, discover
from molecule.component.spec import ConnectorSpec
from molecule.config import Limits
from molecule.definition.calls import Processes
from molecule.definition.definition import StepNode
from molecule.definition.findings import Findings
from molecule.definition.parse import parse_process
from molecule.definition.reading import Reader
from molecule.definition.tables import read_table
from molecule.definition.yaml_guard import load
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.errors import StaleToken
from molecule.model.ids import DocumentId, EffectKey

REGISTRY: Registry = discover(extensions=False)


def a_document(value: Any, **properties: Any) -> Document:
    return Document(DocumentId("0"), value, properties=properties)


def a_context(names: Names | None = None, tables: Mapping[str, str] | None = None) -> StepContext:
    read = {name: a_table(name, text) for name, text in (tables or {}).items()}
    return StepContext("step", names or Names(), read)


def a_table(name: str, text: str) -> Table:
    findings = Findings(f"{name}.csv", bound=9)
    table = read_table(name, text.encode(), findings)
    assert table is not None, findings.all
    return table


def a_step(
    config: str, registry: Registry = REGISTRY, processes: Mapping[str, str] | None = None
) -> StepNode:
    """The step of this YAML (without id), checked and made like one of a process."""
    lines = [line for line in config.splitlines() if line.strip()]
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    flat = "\n".join(f"    {line[indent:]}" for line in lines)
    if flat.lstrip().startswith("{"):
        flat = f"    {flat.strip()[1:-1]}"
        text = f"molecule: 1\nprocess: p\nsteps:\n  - {{id: it,\n{flat}}}\n"
    else:
        text = f"molecule: 1\nprocess: p\nsteps:\n  - id: it\n{flat}\n"
    called = {
        f"processes/{name}.yaml": cleandoc(body).encode()
        for name, body in (processes or {}).items()
    }
    parsed = parse_process(
        text.encode(), "p.yaml", registry, Limits(), processes=Processes(called, Limits())
    )
    assert parsed.definition is not None, [str(finding) for finding in parsed.findings]
    return parsed.definition.steps[0]


def a_client(type_: str, settings: str, secrets: Mapping[str, str] | None = None) -> Any:
    """A connector made from its settings, not opened."""
    component = REGISTRY.connector(type_)
    assert isinstance(component.spec, ConnectorSpec)
    findings = Findings("c.yaml", bound=9)
    root = load(settings.encode(), findings, Limits())
    config: Config | None = None
    if root is not None:
        reader = Reader(findings, REGISTRY.expressions, Limits())
        reader.unknown_fields(root, component.spec.fields, "")
        config = reader.config(root, component.spec.fields, "")
    assert config is not None, findings.all
    assert findings.all == []
    return component.build(config, (secrets or {}).__getitem__)


@dataclass
class Fence:
    """Counts how often it was asked; refuses when it is down."""

    down: bool = False
    asked: int = 0
    seen: list[Any] = field(default_factory=list)

    def __call__(self) -> None:
        self.asked += 1
        if self.down:
            raise StaleToken("moved", held=1, current=2)


def a_call(
    key: str = "e1/it/0", *, timeout_s: float = 5.0, fence: Fence | None = None
) -> CallContext:
    now = asyncio.get_running_loop().time()
    return CallContext(EffectKey(key), timeout_s, now + timeout_s, fence or Fence())
