"""`molecule serve`: check the configuration of a node, then become its supervisor."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from pydantic import ValidationError

from molecule import serve as supervisor
from molecule.cli.failures import ExitCode, Failure
from molecule.config import Limits, NodeConfig
from molecule.definition import yaml_guard
from molecule.definition.findings import Findings
from molecule.model.errors import InvalidConfig

_PATHS: Final = ("data", "admin_token_file")
_TLS: Final = ("tls", "http_tls")


def serve(
    *,
    config: Annotated[
        Path, Parameter(help="YAML file of the node; MOLECULE_* variables override its fields.")
    ],
) -> None:
    """Run a node in the foreground until it is stopped."""
    supervisor.run(read(config, dict(os.environ)).model_dump_json())


def read(path: Path, environ: dict[str, str]) -> NodeConfig:
    """The checked configuration, its paths taken from the file's folder."""
    try:
        settings = _parsed(path)
        checked = node_config(settings, environ, source=str(path))
    except InvalidConfig as error:
        raise Failure(
            f"the configuration {path} cannot be used",
            why=error.message,
            then="mend the file, or the MOLECULE_ variable that overrides it",
            code=ExitCode.WRONG_USAGE,
        ) from None
    return _resolved(checked, path.resolve().parent)


def node_config(
    settings: Mapping[str, object], environ: Mapping[str, str], *, source: str
) -> NodeConfig:
    """The configuration from a parsed file, overridden by `MOLECULE_<FIELD>` variables.

    Nested fields use two underscores: `MOLECULE_TIMING__LEASE_MS=5000`. All faults are reported at
    once as `InvalidConfig`, each with the field and, for an override, the variable's name.
    """
    merged: dict[str, object] = dict(settings)
    for variable, text in sorted(environ.items()):
        if not variable.startswith("MOLECULE_"):
            continue
        path = variable.removeprefix("MOLECULE_").lower().split("__")
        if path[0] not in NodeConfig.model_fields:
            continue
        _set_at(merged, path, text)
    try:
        return NodeConfig.model_validate(merged)
    except ValidationError as error:
        faults = "\n".join(
            "{}: {}: {}".format(
                source, ".".join(map(str, fault["loc"])) or "settings", fault["msg"]
            )
            for fault in error.errors()
        )
        raise InvalidConfig(faults, source=source) from None


def _set_at(settings: dict[str, object], path: list[str], text: str) -> None:
    for part in path[:-1]:
        inner = settings.get(part)
        copy = dict(inner) if isinstance(inner, Mapping) else {}
        settings[part] = copy
        settings = copy
    settings[path[-1]] = text


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"{path}: {error.strerror or error}") from None
    limits = Limits()
    findings = Findings(str(path), bound=limits.findings_max)
    node = yaml_guard.load(content, findings, limits)
    if findings.all:
        raise InvalidConfig("\n".join(str(finding) for finding in findings.in_order()))
    settings = node.plain() if node is not None else {}
    if not isinstance(settings, dict):
        raise InvalidConfig(f"{path}:1:1 must be a map of settings")
    return settings


def _resolved(config: NodeConfig, folder: Path) -> NodeConfig:
    """Every path absolute: the processes of a node run elsewhere."""
    absolute: dict[str, Any] = {
        name: str((folder / getattr(config, name)).resolve()) for name in _PATHS
    }
    for name in _TLS:
        files = getattr(config, name)
        if files is not None:
            absolute[name] = files.model_copy(
                update={
                    kind: str((folder / place).resolve())
                    for kind, place in files.model_dump().items()
                }
            )
    if config.ca_key is not None:
        absolute["ca_key"] = str((folder / config.ca_key).resolve())
    return config.model_copy(update=absolute)
