"""Connections and environments of a user's repository.

`connections/NAME.yaml` says what is the same everywhere; `environments/NAME.yaml` has addresses,
values and references to secrets. A connection's settings are both together; neither ever holds a
secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from molecule.component.registry import Component, Registry
from molecule.component.spec import ConnectorSpec, FieldKind
from molecule.config import Limits
from molecule.definition import connection_gates, later
from molecule.definition.built import Connection, Environment
from molecule.definition.findings import Findings, did_you_mean
from molecule.definition.reading import Reader
from molecule.definition.yaml_guard import Node, load
from molecule.model.errors import InvalidConfig, UnknownComponent
from molecule.model.gate import GatePolicy

_CONNECTION_FIELDS = (
    "connection",
    "connector",
    "description",
    "options",
    "auth",
    "breaker",
    "rate",
)
_ENVIRONMENT_FIELDS = ("environment", "values", "connections", "triggers")
_SWITCH = {"on": True, "off": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ConnectionFile:
    """A connection as its file says it: fields of its connector that are the same everywhere."""

    name: str
    connector: Component
    spec: ConnectorSpec
    file: str
    settings: Node
    gate: GatePolicy


def read_connection(
    content: bytes, findings: Findings, *, stem: str, file: str, registry: Registry, limits: Limits
) -> ConnectionFile | None:
    """The connection of a file called `stem`.yaml; None with findings."""
    root = load(content, findings, limits)
    reader = Reader(findings, registry.expressions, limits)
    if root is None or not reader.is_map(root, ""):
        return None
    reader.unknown_fields(root, _CONNECTION_FIELDS, "")
    _named(root, "connection", stem, reader)
    found = root.items.get("connector")
    type_ = reader.text(found, "connector") if found else None
    if found is None:
        reader.fault(root, "", "connector is missing", did_you_mean("", registry.connectors))
    if found is None or type_ is None:
        return None
    try:
        component = registry.connector(type_)
    except UnknownComponent:
        hint = did_you_mean(type_, registry.connectors)
        reader.fault(found, "connector", f"there is no connector {type_}", hint)
        return None
    spec = component.spec
    if not isinstance(spec, ConnectorSpec):
        return None
    settings = _settings(root, reader)
    for name in spec.addresses:
        if name in settings.items:
            reader.fault(
                settings.items[name], f"options.{name}", "addresses belong into environments/"
            )
    known = {name for name in spec.fields if name not in spec.addresses}
    reader.unknown_fields(settings, known, "options")
    gate = connection_gates.read_gate(root, reader, connection=stem)
    return ConnectionFile(stem, component, spec, file, settings, gate)


def connect(
    connection: ConnectionFile,
    own: Node,
    findings: Findings,
    *,
    registry: Registry,
    limits: Limits,
) -> Connection | None:
    """The connection with its `own` settings of an environment; None with findings."""
    where = f"connections.{connection.name}"
    reader = Reader(findings, registry.expressions, limits)
    reader.unknown_fields(own, connection.spec.fields, where)
    merged = replace(own, items={**connection.settings.items, **own.items})
    config = reader.config(merged, connection.spec.fields, where)
    if config is None:
        return None
    try:
        connection.connector.build(config, lambda _: "")
    except InvalidConfig as error:
        findings.add((own.line, own.column), where, error.message)
        return None
    return Connection(connection.name, connection.connector, config, connection.gate)


def read_environment(
    content: bytes, findings: Findings, *, stem: str, registry: Registry, limits: Limits
) -> tuple[Environment, dict[str, Node]]:
    """The environment of a file called `stem`.yaml, and its connections with their places."""
    root = load(content, findings, limits)
    reader = Reader(findings, registry.expressions, limits)
    if root is None or not reader.is_map(root, ""):
        return Environment(stem), {}
    reader.unknown_fields(root, _ENVIRONMENT_FIELDS, "", later.ENVIRONMENT_FIELDS)
    _named(root, "environment", stem, reader)
    triggers: dict[str, bool] = {}
    for name, item in _map(root, "triggers", reader).items():
        word = reader.choice(item, f"triggers.{name}", tuple(_SWITCH))
        triggers[name] = _SWITCH.get(word or "off", False)
    connections = {
        name: item
        for name, item in _map(root, "connections", reader).items()
        if reader.is_map(item, f"connections.{name}")
    }
    plain = {name: item.plain() for name, item in connections.items()}
    values = {name: item.plain() for name, item in _map(root, "values", reader).items()}
    return Environment(stem, values, plain, triggers), connections


def credentials(connection: Connection) -> tuple[str, ...]:
    """References to secrets that this connection needs: `env:NAME`, `file:PATH`."""
    spec = connection.connector.spec
    return tuple(
        connection.config.text(name)
        for name, declared in spec.fields.items()
        if declared.kind is FieldKind.CREDENTIAL and connection.config.has(name)
    )


def _settings(root: Node, reader: Reader) -> Node:
    options = root.items.get("options")
    settings = Node("map", root.line, root.column)
    if options is not None and reader.is_map(options, "options"):
        settings.items.update(options.items)
        settings.keys.update(options.keys)
    if "auth" in root.items:
        settings.items["auth"] = root.items["auth"]
        settings.keys["auth"] = root.keys["auth"]
    return settings


def _named(root: Node, field: str, stem: str, reader: Reader) -> None:
    found = root.items.get(field)
    if found is None:
        reader.fault(root, "", f"{field} is missing", f"write {field}: {stem}")
    elif found.text != stem:
        reader.fault(found, field, f"is {found.text}, the file is called {stem}", "use one name")


def _map(root: Node, name: str, reader: Reader) -> dict[str, Node]:
    found = root.items.get(name)
    if found is None or (found.kind == "scalar" and found.value is None):
        return {}
    return found.items if reader.is_map(found, name) else {}


def as_node(value: Any) -> Node:
    """A plain value as a node without a place of its own."""
    if isinstance(value, Mapping):
        items = {str(key): as_node(item) for key, item in value.items()}
        return Node("map", 1, 1, items=items, keys=dict.fromkeys(items, (1, 1)))
    if isinstance(value, list | tuple):
        return Node("list", 1, 1, elements=[as_node(item) for item in value])
    if isinstance(value, bool):
        return Node("scalar", 1, 1, value, "true" if value else "false")
    return Node("scalar", 1, 1, value, "" if value is None else str(value))
