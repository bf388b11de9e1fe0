"""`molecule version`."""

import platform
from typing import Annotated

from cyclopts import Parameter

from molecule import __version__
from molecule.cli import output
from molecule.cli.output import Form


def version(*, form: Annotated[Form, Parameter(name=["--output", "-o"])] = "table") -> None:
    """Show the version of Molecule and of Python."""
    told = {"molecule": __version__, "python": platform.python_version()}
    output.show(told, form=form)
