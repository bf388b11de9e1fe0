"""What the machine is, and what processes used of it, read from /proc."""

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.tidy.source import ROOT

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROLES = {
    "molecule.serve": "supervisor",
    "molecule.node": "node",
    "molecule.gateway": "gateway",
    "molecule.worker": "worker",
}


def description() -> dict[str, object]:
    """Cores, model, memory, kernel, Python, and what was measured."""
    model = ""
    for line in (_PROC / "cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kb = int((_PROC / "meminfo").read_text(encoding="utf-8").split()[1])
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": model,
        "memory_gb": round(memory_kb / 1024 / 1024),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or "unknown",
    }


def load_average() -> float:
    """Over the last minute: more than the cores means that others were working too."""
    return round(os.getloadavg()[0], 2)


def role_of(command: str) -> str:
    """Which of Molecule's processes this command line is."""
    words = command.split()
    return next((role for module, role in ROLES.items() if module in words), "other")


def cpu_seconds(roles: Mapping[int, str]) -> Counter[str]:
    """User and system time of processes so far, summed by role."""
    spent: Counter[str] = Counter()
    for pid, role in roles.items():
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        spent[role] += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # type: ignore[assignment]  # seconds, not counts
    return spent


def pss_mb(pid: int) -> float:
    """Proportional set size: shared pages are counted once among those that share them."""
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
