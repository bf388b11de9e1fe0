"""Small volumes of their own for tests of full disks; where none can be mounted, the test skips."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_volume(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A tmpfs of this size at `folder`, gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "molecule-test", str(folder)]
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no small volume can be mounted here: there is no mount")
    if done.returncode:
        pytest.skip(f"no small volume can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
