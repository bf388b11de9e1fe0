"""A private copy of the unmodified library whose clock, chance, files and poller belong to the
simulation.

The product uses its own copy of the library in the same process, so this one is imported apart
from it. No line of the library is changed: only module globals that reach outside are replaced.
What must stay true: the copy never touches the real clock, disk or network.
"""

import functools
import gzip
import importlib
import io
import logging
import posixpath
import socket
import sys
import types
from typing import Any

from tests.simulation.member import Port

_NAMES = ("pysyncobj.syncobj", "pysyncobj.journal", "pysyncobj.serializer", "pysyncobj.node")


# Each look at the clock costs a little, because the library has loops that only time ends.
_LOOK_S = 0.00002


class Stage:
    """The member whose turn it is; the library's globals lead to its port."""

    port: Port
    looks = 0

    def enter(self, port: Port) -> None:
        """It is this member's turn now."""
        self.port = port
        self.looks = 0

    def now_s(self) -> float:
        """The member's clock, moved on by what was spent in this turn."""
        self.looks += 1
        return self.port.now_s() + self.looks * _LOOK_S


STAGE = Stage()


class _Chance:
    def random(self) -> float:
        return STAGE.port.rng.random()


class _Poller:
    """Nothing to poll: the world delivers."""

    def poll(self, timeout: float) -> None:
        """Return at once."""


class _MappedFile:
    """The library's memory-mapped file: every write is visible at once and never synced."""

    def __init__(self, name: str, *_: object, defaultContent: bytes = b"") -> None:  # noqa: N803
        self._name = name
        if not STAGE.port.disk.exists(name):
            STAGE.port.disk.create(name)
            STAGE.port.disk.write(name, 0, defaultContent)

    def write(self, offset: int, values: bytes) -> None:
        STAGE.port.disk.write(self._name, offset, values)

    def read(self, offset: int, size: int) -> bytes:
        content = STAGE.port.disk.read(self._name)[offset : offset + size]
        return content + bytes(size - len(content))


class _Writer(io.RawIOBase):
    """A file opened for writing from its start."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._offset = 0
        STAGE.port.disk.create(name)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        STAGE.port.disk.write(self._name, self._offset, content)
        self._offset += len(content)
        return len(content)


def _open(name: str, mode: str) -> io.IOBase:
    if mode == "rb":
        return io.BytesIO(STAGE.port.disk.read(name))
    return _Writer(name)


def _rename(source: str, target: str) -> None:
    STAGE.port.disk.rename(source, target)


def _is_file(name: str) -> bool:
    return STAGE.port.disk.exists(name)


def _import_apart() -> dict[str, Any]:
    """Import the library anew, leaving what others imported or use in place."""
    write_address = socket.inet_ntop
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_library(name)}
    try:
        return {name.rpartition(".")[2]: importlib.import_module(name) for name in _NAMES}
    finally:
        socket.inet_ntop = write_address
        for name in [name for name in sys.modules if _is_library(name)]:
            del sys.modules[name]
        sys.modules.update(others)


def _is_library(name: str) -> bool:
    return name == "pysyncobj" or name.startswith("pysyncobj.")


@functools.cache
def library() -> types.SimpleNamespace:
    """The copy's modules: `syncobj`, `journal`, `serializer`, `node`."""
    modules = types.SimpleNamespace(**_import_apart())
    silent = logging.getLogger("tests.simulation.library")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False

    syncobj = modules.syncobj
    syncobj.monotonicTime = STAGE.now_s
    syncobj.random = _Chance()
    syncobj.createPoller = lambda _: _Poller()
    syncobj.os = types.SimpleNamespace(path=types.SimpleNamespace(isfile=_is_file))
    syncobj.logger = silent

    modules.journal.ResizableFile = _MappedFile
    modules.journal.open = _open
    modules.journal.shutil = types.SimpleNamespace(move=_rename)

    modules.serializer.open = _open
    modules.serializer.atomicReplace = _rename
    modules.serializer.logger = silent
    # The time of day in the header would differ between two runs of one seed.
    modules.serializer.gzip = types.SimpleNamespace(
        GzipFile=functools.partial(gzip.GzipFile, mtime=0)
    )
    modules.serializer.os = types.SimpleNamespace(path=posixpath)
    return modules
