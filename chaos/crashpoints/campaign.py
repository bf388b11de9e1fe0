"""Records a script once and judges every state that a crash could have left it in.

What must stay true: each operation of the record is a point, and none is left out; states that
cannot be told apart, with the same steps begun and done, are judged once.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.crashpoints import syscalls
from chaos.crashpoints.disk import Disk, Image
from chaos.crashpoints.script import Violation, progress
from chaos.crashpoints.scripts import SCRIPTS
from chaos.crashpoints.syscalls import Operation, Said


@dataclass(frozen=True, slots=True)
class Case:
    """One state after a crash: what it is a state of, and how it came to be."""

    script: str
    point: int
    image: Image
    begun: int
    done: int

    @property
    def name(self) -> str:
        """What replays it, and which of the states of its point it is."""
        what = f"{self.image.kind}, {self.image.detail}" if self.image.detail else self.image.kind
        return f"--script {self.script} --point {self.point} ({what})"


@dataclass(slots=True)
class Result:
    """What became of a script's points."""

    script: str
    points: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """States by kind; those that could not be told apart from earlier ones count, too."""
    judged: int = 0
    """States that could be told apart."""
    violations: list[str] = field(default_factory=list)

    def as_values(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "script": self.script,
            "points": self.points,
            "judged": self.judged,
            "kinds": dict(self.kinds),
            "violations": self.violations,
        }


def recorded(script: str) -> tuple[str, list[Operation]]:
    """The folder in which it ran, and all that it did there. Raises OSError without strace."""
    with tempfile.TemporaryDirectory(prefix="molecule-crash-") as base:
        folder, record = Path(base).resolve() / "files", Path(base) / "record"
        folder.mkdir()
        command = ["strace", "-f", "-qq", "-y", "-xx", "-s", str(1 << 26), "-o", str(record)]
        command += ["-e", f"trace={syscalls.CALLS}", "-e", "signal=none"]
        command += [sys.executable, "-m", "chaos.crashpoints.child", script, str(folder)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"the script {script} did not end well:\n{ran.stderr[-2000:]}")
        with record.open(encoding="ascii") as lines:
            return str(folder), syscalls.operations(lines, within=str(folder))


def cases(script: str, folder: str, made: list[Operation]) -> Iterator[Case]:
    """Every state of every point, from the first operation to the last."""
    disk = Disk(folder)
    said: list[str] = []
    for point, operation in enumerate(made):
        if isinstance(operation, Said):
            said.append(operation.text)
        if disk.do(operation) or isinstance(operation, Said):
            begun, done = progress(said)
            for image in disk.images(operation):
                yield Case(script, point, image, begun, done)


def judge(case: Case) -> str:
    """Why the state breaks a promise; empty when it does not."""
    with tempfile.TemporaryDirectory(prefix="molecule-crash-") as base:
        folder = Path(base)
        for name in sorted(case.image.folders):
            (folder / name).mkdir(parents=True)
        for name, content in case.image.files.items():
            (folder / name).write_bytes(content)
        try:
            SCRIPTS[case.script].check(folder, case.begun, case.done)
        except Violation as broken:
            return f"{case.name}: {broken}"
        except Exception as error:  # noqa: BLE001  # whatever recovery raises is what is looked for
            return f"{case.name}: {type(error).__name__}: {error}"
    return ""


def run(script: str, *, point: int | None = None) -> Result:
    """All points of a script, or one."""
    result = Result(script)
    folder, made = recorded(script)
    known: set[object] = set()
    points: set[int] = set()
    for case in cases(script, folder, made):
        points.add(case.point)
        result.kinds[case.image.kind] += 1
        key = (case.image.key, case.begun, case.done)
        if (point is None or case.point == point) and key not in known:
            known.add(key)
            result.judged += 1
            violation = judge(case)
            if violation:
                result.violations.append(violation)
    result.points = len(points)
    return result
