"""Packages: a version of a process as bytes, and back.

`build` turns a repository's files into versions, one per process; `open_package` turns a version
and the settings of an environment into what a worker runs. The version id is the sha256 of the
package, so equal text gives the equal version whatever the order of files.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import orjson

from molecule.component.contract import Table
from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition import volatile
from molecule.definition.built import (
    Built,
    BuiltOptions,
    BuiltVersion,
    Connection,
    Environment,
    ProcessDoor,
    RunnableProcess,
)
from molecule.definition.calls import TRIGGER, Processes
from molecule.definition.definition import ProcessDefinition
from molecule.definition.findings import Findings
from molecule.definition.parse import parse_process
from molecule.definition.repository import (
    ConnectionFile,
    as_node,
    connect,
    read_connection,
    read_environment,
)
from molecule.definition.tables import read_table
from molecule.definition.yaml_guard import Node
from molecule.model.errors import DamagedData, Finding, InvalidProcess
from molecule.model.gate import GatePolicy
from molecule.model.ids import VersionId

_FORMAT: Final = 1
_LIMITS: Final = Limits()


def build(
    files: Mapping[str, bytes], environment: str, registry: Registry, limits: Limits = _LIMITS
) -> Built:
    """Every process below `processes/` for this environment; all faults at once in `findings`.

    `files` maps paths below the repository's root, with `/`, to contents.
    """
    building = _Building(files, environment, registry, limits)
    settings = building.environment()
    building.shared_files()
    versions = building.versions(settings)
    found = tuple(building.findings[: limits.findings_max])
    return Built(
        () if found else versions,
        b"" if found else _environment_bytes(settings),
        found,
        tuple(building.warnings[: limits.findings_max]),
    )


def open_package(
    package: bytes, environment_settings: bytes, registry: Registry, limits: Limits = _LIMITS
) -> RunnableProcess:
    """A version opened. Raises `InvalidProcess` when the environment does not fit it."""
    content = _content(package)
    environment = _environment(environment_settings)
    building = _Building(
        {path: text.encode() for path, text in content["files"].items()},
        environment.name,
        registry,
        limits,
    )
    building.shared_files()
    definition = building.process(content["file"])
    connections = building.connect(definition, environment) if definition else {}
    if definition is None or building.findings:
        raise InvalidProcess(tuple(building.findings))
    version = version_of(package)
    return RunnableProcess(
        definition,
        version,
        environment,
        connections,
        {name: building.tables[name] for name in definition.tables},
        ProcessDoor(
            definition.options,
            environment,
            definition.name,
            version,
            limits,
            definition.trigger.component,
        ),
    )


def version_of(package: bytes) -> VersionId:
    """The id of a version: sha256 of its package."""
    return VersionId(hashlib.sha256(package).hexdigest())


@dataclass(slots=True)
class _Building:
    """Reads a set of files step by step, gathering faults; used once."""

    files: Mapping[str, bytes]
    environment_name: str
    registry: Registry
    limits: Limits
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    connection_files: dict[str, ConnectionFile] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    named_connections: dict[str, str] = field(default_factory=dict)
    named_tables: dict[str, str] = field(default_factory=dict)
    """Name -> file."""
    called: Processes = field(init=False)
    placed: dict[str, Node] = field(default_factory=dict)
    """Settings of connections where they stand in the environment's file, while building."""

    def __post_init__(self) -> None:
        self.called = Processes(self.files, self.limits)

    def environment(self) -> Environment:
        file = f"environments/{self.environment_name}.yaml"
        collected = self._collector(file)
        found = Environment(self.environment_name)
        if file in self.files:
            found, self.placed = read_environment(
                self.files[file],
                collected,
                stem=self.environment_name,
                registry=self.registry,
                limits=self.limits,
            )
        else:
            collected.add((1, 1), "", "the environment has no file", f"add {file}")
        self.findings.extend(collected.in_order())
        return found

    def shared_files(self) -> None:
        """Connections and tables; a faulty one still counts as there, so that it is told once."""
        for stem, file in self._by_name("connections", ".yaml"):
            collected = self._collector(file)
            found = read_connection(
                self.files[file],
                collected,
                stem=stem,
                file=file,
                registry=self.registry,
                limits=self.limits,
            )
            if found is not None:
                self.connection_files[stem] = found
                self.named_connections[stem] = found.connector.type
            self.findings.extend(collected.in_order())
        for stem, file in self._by_name("tables", ".csv"):
            collected = self._collector(file)
            table = read_table(stem, self.files[file], collected)
            if table is not None:
                self.tables[stem] = table
            self.named_tables[stem] = file
            self.findings.extend(collected.in_order())

    def versions(self, environment: Environment) -> tuple[BuiltVersion, ...]:
        found: dict[str, BuiltVersion] = {}
        names: set[str] = set()
        checked: set[str] = set()
        for file in self._below("processes", ".yaml"):
            definition = self.process(file)
            if definition is None:
                continue
            if definition.name in names:
                place = Finding(file, 1, 1, "process", f"{definition.name} stands in two files")
                self.findings.append(place)
                continue
            names.add(definition.name)
            fresh = [name for name in definition.connections if name not in checked]
            self.connect(definition, environment, only=fresh)
            checked.update(fresh)
            # A called process is part of those that call it and has no version of its own.
            if definition.trigger.type != TRIGGER:
                found[definition.name] = self._version(file, definition, environment)
        if not found and not self.findings:
            what = "only processes that are called" if names else "there is no process"
            self.findings.append(Finding("processes", 1, 1, "", f"{what} below it"))
        for name in environment.triggers:
            if name not in found and not self.findings:
                what = f"there is no process {name}"
                file = f"environments/{self.environment_name}.yaml"
                self.findings.append(Finding(file, 1, 1, f"triggers.{name}", what))
        return tuple(found[name] for name in sorted(found))

    def process(self, file: str) -> ProcessDefinition | None:
        parsed = parse_process(
            self.files[file],
            file,
            self.registry,
            self.limits,
            connections=self.named_connections,
            tables=self.named_tables,
            processes=self.called,
        )
        self.findings.extend(parsed.findings)
        self.warnings.extend(parsed.warnings)
        return parsed.definition

    def connect(
        self,
        definition: ProcessDefinition,
        environment: Environment,
        *,
        only: list[str] | None = None,
    ) -> dict[str, Connection]:
        """The connections that a process uses, with their settings of the environment."""
        collected = self._collector(f"environments/{environment.name}.yaml")
        found: dict[str, Connection] = {}
        for name in definition.connections if only is None else only:
            written = self.connection_files.get(name)
            if written is None:
                continue
            made = connect(
                written,
                self.placed.get(name) or as_node(environment.connections.get(name, {})),
                collected,
                registry=self.registry,
                limits=self.limits,
            )
            if made is not None:
                found[name] = made
        self.findings.extend(collected.in_order())
        return found

    def _version(
        self, file: str, definition: ProcessDefinition, environment: Environment
    ) -> BuiltVersion:
        used = [file, *definition.calls]
        used += [
            self.connection_files[name].file
            for name in definition.connections
            if name in self.connection_files
        ]
        used += [self.named_tables[name] for name in definition.tables]
        package = orjson.dumps(
            {
                "format": _FORMAT,
                "process": definition.name,
                "file": file,
                "files": {
                    # What is not UTF-8 is a fault already, and then nothing is built.
                    path: self.files[path].decode("utf-8-sig", "replace")
                    for path in used
                },
            },
            option=orjson.OPT_SORT_KEYS,
        )
        if len(package) > self.limits.package_bytes_max:
            bound = self.limits.package_bytes_max
            self.findings.append(
                Finding(file, 1, 1, "", f"the package is larger than package_bytes_max, {bound}")
            )
        trigger = definition.trigger
        switched_on = environment.triggers.get(definition.name, False)
        volatile.check_gates(definition, self._gates(definition), self.findings)
        return BuiltVersion(
            definition.name,
            version_of(package),
            _options(definition, self._gates(definition)),
            package,
            trigger_on=switched_on and (trigger.consumes or trigger.listening is not None),
        )

    def _gates(self, definition: ProcessDefinition) -> tuple[GatePolicy, ...]:
        files = self.connection_files
        return tuple(files[name].gate for name in definition.connections if name in files)

    def _by_name(self, folder: str, suffix: str) -> list[tuple[str, str]]:
        """Name and file of all below a folder, at any depth; a name that stands twice is told."""
        files: dict[str, str] = {}
        for file in self._below(folder, suffix):
            name = PurePosixPath(file).stem
            if name in files:
                what = f"{name} stands in {files[name]} too"
                self.findings.append(Finding(file, 1, 1, "", what, "each needs a name of its own"))
            files.setdefault(name, file)
        return list(files.items())

    def _below(self, folder: str, suffix: str) -> list[str]:
        return sorted(
            path for path in self.files if path.startswith(f"{folder}/") and path.endswith(suffix)
        )

    def _collector(self, file: str) -> Findings:
        return Findings(file, bound=self.limits.findings_max)


def _options(definition: ProcessDefinition, gates: tuple[GatePolicy, ...]) -> BuiltOptions:
    options = definition.options
    return BuiltOptions(
        options.failover,
        options.concurrency_by is not None,
        options.concurrency_limit,
        options.timeout_ms,
        options.crash_budget,
        options.priority,
        options.require,
        options.prefer,
        definition.trigger.consumes,
        options.on_dead_letter,
        bool(options.track),
        options.hold_for_ms,
        options.isolation,
        options.overlap,
        options.on_park,
        options.share,
        options.zone,
        options.spread,
        options.expires_ms,
        options.dedup_window_ms,
        definition.trigger.listening,
        gates,
        options.durability,
    )


def _environment_bytes(environment: Environment) -> bytes:
    return orjson.dumps(
        {
            "environment": environment.name,
            "values": environment.values,
            "connections": environment.connections,
            "triggers": environment.triggers,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def _environment(settings: bytes) -> Environment:
    try:
        found = orjson.loads(settings)
        return Environment(
            found["environment"], found["values"], found["connections"], found["triggers"]
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise DamagedData("these bytes are no environment settings") from None


def _content(package: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(package)
        if content["format"] == _FORMAT and isinstance(content["files"], dict):
            return dict(content)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        pass
    raise DamagedData("these bytes are no package of a process")
