"""Ansible's test tool is called `molecule` too, and installs a package of the same name.

Beside each other their files mix and fail in strange ways, so this one refuses to start.
"""

from collections.abc import Callable
from importlib.metadata import Distribution

from molecule.cli.failures import ExitCode, Failure

_RIVAL = "molecule"


def refuse(found: Callable[..., object] = Distribution.discover) -> None:
    """Raise when the other one is installed in this environment. Reads names only, no metadata."""
    if any(True for _ in found(name=_RIVAL)):  # type: ignore[attr-defined]  # an iterable
        raise Failure(
            "Ansible's Molecule is installed in the same Python environment",
            why="both are imported as `molecule`, so neither works reliably",
            then="make a virtual environment of its own for molecule-runtime and install it there",
            code=ExitCode.WRONG_USAGE,
        )
