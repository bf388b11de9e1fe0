"""Which state of the code is under test."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The commit of this tree, with a mark when it was changed since; empty outside of one."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()


def short(told: str) -> str:
    """For people: 12 digits, and whether the tree was changed."""
    digits, _, mark = told.partition("-")
    return f"{digits[:12] or 'unknown'}{' and changes' if mark else ''}"
