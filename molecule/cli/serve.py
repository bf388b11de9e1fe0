"""`molecule serve`: check the configuration of a node, then become its supervisor."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from molecule import serve as supervisor
from molecule.cli.failures import ExitCode, Failure
from molecule.config import Limits, NodeConfig, node_config
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
