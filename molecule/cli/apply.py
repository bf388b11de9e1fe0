"""`molecule apply`: deploy the files of a repository to one environment."""

import base64
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from molecule.cli import output
from molecule.cli.calls import Call
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.options import SHARED, Shared

_FOLDERS: Final = ("processes", "connections", "tables")
_COLUMNS: Final = ("process", "version", "has_trigger", "trigger_on")


def apply(
    *,
    file: Annotated[
        Path,
        Parameter(
            name=["--file", "-f"],
            help="Folder that holds processes/, connections/, tables/ and environments/.",
        ),
    ],
    environment: Annotated[str, Parameter(help="Which of environments/ to deploy to.")],
    shared: Shared = SHARED,
) -> None:
    """Deploy the processes of a folder to one environment."""
    files = collect(file, environment)
    call = Call(
        f"apply {file} to {environment}",
        "POST",
        "/api/v1/apply",
        query={"environment": environment},
        body={"files": files},
    )
    with shared.cluster() as cluster:
        answer = cluster.ask(call)
    for warning in answer.value.get("warnings", ()):
        output.talk(f"warning: {warning}")
    if shared.output == "table":
        output.table(answer.value["processes"], _COLUMNS)
    else:
        output.show(answer.value, form=shared.output)


def collect(folder: Path, environment: str) -> dict[str, Any]:
    """The files that belong to this environment, by their path below the folder."""
    settings = [
        path
        for ending in (".yaml", ".yml")
        if (path := folder / "environments" / f"{environment}{ending}").is_file()
    ]
    if not folder.is_dir():
        raise Failure(
            f"{folder} is no folder",
            then="name the folder that holds processes/ and environments/",
            code=ExitCode.WRONG_USAGE,
        )
    if not settings:
        there = sorted(path.stem for path in folder.glob("environments/*.y*ml"))
        raise Failure(
            f"{folder} has no environment {environment}",
            why=f"environments/ has: {', '.join(there) or 'nothing'}",
            then=f"write {folder / 'environments' / environment}.yaml",
            code=ExitCode.WRONG_USAGE,
        )
    found = settings + [
        path for name in _FOLDERS for path in sorted((folder / name).rglob("*")) if _counts(path)
    ]
    return {path.relative_to(folder).as_posix(): _content(path) for path in found}


def _counts(path: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])


def _content(path: Path) -> str | dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} cannot be read", why=error.strerror or str(error)) from None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
