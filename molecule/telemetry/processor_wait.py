"""How long the main thread could have run while other programs had all processors.

The kernel counts it for each thread. Where it does not, nobody waited: what is measured against it
is then blamed on the process itself.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

_FILE: Final = Path("/proc/self/schedstat")


class ProcessorWait:
    """The counter of this process, kept open: it is read many times a second."""

    def __init__(self, file: Path = _FILE) -> None:
        self._open: int | None = None
        with contextlib.suppress(OSError):
            self._open = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def us(self) -> int:
        """Microseconds since the thread began; 0 where the kernel does not tell."""
        if self._open is None:
            return 0
        try:
            return int(os.pread(self._open, 128, 0).split()[1]) // 1000
        except (OSError, IndexError, ValueError):
            return 0

    def __del__(self) -> None:
        if self._open is not None:
            os.close(self._open)
