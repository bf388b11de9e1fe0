"""A wall clock of its own for each node: what its processes read is moved while they run.

A small library is compiled and preloaded; a file that all processes of a node share says how far.
It counts how often the moved clock was read and keeps what was told last: that shows that it works.
"""

import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("wall_clock.c")
_LIBRARY: Final = "wall_clock.so"
_FORM: Final = struct.Struct("=qqqqq")
_MOVE: Final = struct.Struct("=qqq")
_HOUR_NS: Final = 3_600 * 10**9


class NoClock(Exception):
    """The library cannot be made here."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of one node."""

    library: Path
    path: Path

    @property
    def environ(self) -> Mapping[str, str]:
        """What its processes are started with."""
        return {"LD_PRELOAD": str(self.library), "MOLECULE_CHAOS_CLOCK": str(self.path)}

    def move(self, *, offset_ns: int = 0, drift_ppm: int = 0) -> None:
        """Jump by so much now, and run faster by so many millionths from now on."""
        self._write(_MOVE.pack(offset_ns, drift_ppm, time.time_ns()))

    def right(self) -> None:
        """As the machine's again."""
        self._write(_MOVE.pack(0, 0, 0))

    def reads(self) -> int:
        """How often a clock was read that was moved."""
        return int(_FORM.unpack(self.path.read_bytes())[3])

    def told_off_by_ns(self) -> int:
        """How far off it was when it was read last while it was moved."""
        return int(_FORM.unpack(self.path.read_bytes())[4])

    def _write(self, move: bytes) -> None:
        with self.path.open("r+b") as file:
            file.write(move)


def compiled(folder: Path) -> Path:
    """The library, made in this folder; `NoClock` with the words of the compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoClock("cc is missing")
    made = folder / _LIBRARY
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(made), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoClock(f"cc: {done.stderr.strip()[:200]}")
    return made


def make(library: Path, path: Path) -> Clock:
    """A clock that is right."""
    path.write_bytes(bytes(_FORM.size))
    return Clock(library, path)


def why_not() -> str:
    """Why no clock can be moved here; empty: it can."""
    with tempfile.TemporaryDirectory(prefix="molecule-chaos-") as name:
        folder = Path(name)
        try:
            clock = make(compiled(folder), folder / "clock")
        except NoClock as error:
            return f"no clock can be moved here: {error}"
        clock.move(offset_ns=-_HOUR_NS)
        subprocess.run(
            [sys.executable, "-c", "import time; time.time_ns()"],
            env=dict(clock.environ),
            capture_output=True,
            check=False,
        )
        return "" if clock.reads() else "no clock can be moved here: nobody reads it"
