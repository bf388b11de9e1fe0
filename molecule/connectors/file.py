"""`file`: a folder of files. No path leaves its root, by `..`, by a link or by an absolute name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from molecule.component.config import Config
from molecule.component.registry import connector
from molecule.component.spec import ConnectorSpec, Example, Field
from molecule.expression.expression import data_error
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError

_BYTES_MAX: Final = 1024 * 1024 * 1024
_BYTES_DEFAULT: Final = 64 * 1024 * 1024
_RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
_RECORD_BYTES_DEFAULT: Final = 1024 * 1024


@connector(
    "file",
    ConnectorSpec(
        summary="A folder that this node can reach.",
        fields={
            "root": Field.text("Absolute path of the folder."),
            "file_bytes_max": Field.integer(
                "Larger files are not read as a whole.",
                default=_BYTES_DEFAULT,
                minimum=1,
                maximum=_BYTES_MAX,
            ),
            "record_bytes_max": Field.integer(
                "A longer record is a bad one.",
                default=_RECORD_BYTES_DEFAULT,
                minimum=1,
                maximum=_RECORD_BYTES_MAX,
            ),
        },
        addresses=("root",),
        example=Example(config="{root: /srv/inbox}"),
    ),
)
class File:
    """The client of one connection: resolves names below the root."""

    def __init__(self, settings: Config, credential: Callable[[str], str]) -> None:  # noqa: ARG002
        self.root = Path(settings.text("root"))
        self.file_bytes_max = settings.integer("file_bytes_max")
        self.record_bytes_max = settings.integer("record_bytes_max")
        if not self.root.is_absolute():
            raise InvalidConfig("root: must be an absolute path")

    async def open(self) -> None:
        """Nothing to make ready: the folder may appear later."""

    async def close(self) -> None:
        """Nothing to give back."""

    @property
    def real_root(self) -> Path:
        """The root with its links followed."""
        return Path(os.path.realpath(self.root))

    def below(self, name: str) -> Path:
        """The real path of a name below the root. Raises `StepError` (data) for any other."""
        check_name(name)
        root = self.real_root
        path = Path(os.path.realpath(root / name))
        if root not in path.parents:
            raise data_error(f"path: {name} leaves the root", field="path")
        return path


def check_name(name: str) -> None:
    """Raises `StepError` (data) for a name that is absolute, climbs or cannot be one."""
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or "\0" in name
        or {"..", "."} & set(parts)
        or not parts[-1]
    ):
        raise data_error(f"path: {name[:120]!r} is no name below the root", field="path")


def as_step_error(error: OSError, name: str) -> StepError:
    """A file system's error in our classes."""
    told = f"{name}: {error.strerror or error or 'no answer in time'}"
    if isinstance(error, FileNotFoundError):
        return StepError(told, error_class=ErrorClass.PERMANENT, error_code="not_found")
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError):
        return StepError(told, error_class=ErrorClass.PERMANENT, error_code="not_allowed")
    return StepError(told, error_class=ErrorClass.TRANSIENT_DEFINITE, error_code="storage")
