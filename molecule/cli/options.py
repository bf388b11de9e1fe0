"""Options that many commands have, and how they become a cluster to talk to."""

import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from molecule.cli import context
from molecule.cli.calls import Cluster
from molecule.cli.failures import ExitCode, Failure
from molecule.cli.output import Form
from molecule.definition import durations
from molecule.model.keys import make_key


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Shared:
    """Where to ask and how to print."""

    output: Annotated[Form, Parameter(name=["--output", "-o"])] = "table"
    """How data is printed: table (default), json or yaml."""
    context: Path | None = None
    """JSON file of the cluster; default: MOLECULE_CONTEXT, or .molecule/context.json upwards."""

    def cluster(self) -> Cluster:
        """The cluster that the context names."""
        return Cluster(context.find(self.context, start=Path.cwd()))


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a long list."""

    limit: int = 50
    """Rows at most; default 50."""
    cursor: str = ""
    """Where the page before ended."""

    def query(self) -> dict[str, str]:
        """As query parameters."""
        return given(limit=str(self.limit), cursor=self.cursor)


SHARED = Shared()
PAGE = Page()


def given(**parameters: str) -> dict[str, str]:
    """The parameters that are not empty."""
    return {name: text for name, text in parameters.items() if text}


def milliseconds(text: str, option: str) -> int:
    """A duration like `30s`; a wrong one is wrong usage."""
    asked = durations.milliseconds(text)
    if asked is None:
        raise Failure(
            f"{option} {text} is not a duration",
            then="write it like 500ms, 30s, 5m, 2h or 1d",
            code=ExitCode.WRONG_USAGE,
        )
    return asked


def idempotency_key(asked: str | None) -> str:
    """The key that was asked for, else a new one. An empty one is a variable that was not set."""
    if asked is None:
        return make_key(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    if not asked:
        raise Failure(
            "--key is empty",
            why="a repeat of the command could not be told from a second request",
            then="give a key, or leave --key out and take the one that is printed",
            code=ExitCode.WRONG_USAGE,
        )
    return asked


def confirm(question: str, *, is_sure: bool) -> None:
    """Go on when the person agrees, or said so before by --yes."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise Failure(
            f"{question} Nobody can be asked here",
            then="add --yes to do it without asking",
            code=ExitCode.WRONG_USAGE,
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Failure("stopped, nothing was done")
