"""What the processes of a node use, as the kernel counts it, and what lies on its disk."""

import contextlib
import os
from pathlib import Path
from typing import Final

from chaos import records as r
from chaos.runner.recording import Recording
from chaos.runner.site import Site

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def measure(site: Site, recording: Recording, moment: str) -> None:
    """One record for each node."""
    for node in site.nodes:
        memory = descriptors = tasks = 0
        for member in site.members(node):
            folder = Path("/proc") / str(member.pid)
            with contextlib.suppress(OSError):
                memory += int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES
                descriptors += len(list((folder / "fd").iterdir()))
                tasks += len(list((folder / "task").iterdir()))
        recording.add(
            r.Measured,
            node=node,
            moment=moment,
            memory_bytes=memory,
            descriptors=descriptors,
            tasks=tasks,
            disk_bytes=_size(site.local.node(node).data),
        )


def search(site: Site, recording: Recording, canary: str) -> None:
    """Look for a secret in everything that the nodes wrote."""
    for node in site.nodes:
        place = site.local.node(node)
        for artefact, paths in (
            (f"log of {node}", [place.log]),
            (f"data of {node}", [path for path in place.data.rglob("*") if path.is_file()]),
        ):
            found = [path.name for path in paths if canary.encode() in path.read_bytes()]
            recording.add(r.Searched, artefact=artefact, found=tuple(found))


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_blocks * 512
    return total
