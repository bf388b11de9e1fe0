"""Reads what `strace -f -y -xx` wrote, as operations on files.

Only calls that changed something are kept, in the order in which they returned. What must stay
true: a call that is asked for by `CALLS` and not understood here is an error, never left out.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

CALLS: Final = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,truncate,ftruncate,"
    "fallocate,lseek,copy_file_range,sendfile"
)
_LINE: Final = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
_CALL: Final = re.compile(
    r"^(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)(?P<more>.*)$"
)
_DESCRIPTOR: Final = re.compile(
    r"^(?P<number>\d+|AT_FDCWD)<(?P<path>[^>]*)>(?P<gone>\(deleted\))?$"
)
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_UNFINISHED: Final = " <unfinished ...>"
_RESUMED: Final = re.compile(r"^<\.\.\. \w+ resumed>(?P<rest>.*)$")


class Misread(ValueError):
    """The record holds a call that this file does not understand."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes put into a file."""

    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file cut or lengthened to a size."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Create:
    """A file opened with leave to make it; `empties`: what it held is gone."""

    path: str
    empties: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """Return of a sync of a file or a folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A name that replaced another, or moved."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A name taken away, of a file or an empty folder."""

    path: str


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """A new folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the script told about itself at this moment."""

    text: str


Operation = Write | Truncate | Create | Sync | Rename | Remove | MakeFolder | Said


@dataclass(slots=True)
class _Reader:
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    """Where the next plain write goes, by descriptor and path."""
    halves: dict[str, str] = field(default_factory=dict)

    def line(self, text: str) -> Iterator[Operation]:
        found = _LINE.match(text)
        if found is None:
            raise Misread(f"no line of strace: {text[:200]}")
        thread, rest = found["thread"], found["rest"]
        if rest.startswith(("+++", "---")):
            return
        if rest.endswith(_UNFINISHED):
            self.halves[thread] = rest.removesuffix(_UNFINISHED)
            return
        resumed = _RESUMED.match(rest)
        if resumed is not None:
            rest = self.halves.pop(thread) + resumed["rest"].lstrip()
        call = _CALL.match(rest)
        if call is None:
            raise Misread(f"no call: {rest[:200]}")
        if call["result"].startswith("-") or call["result"] == "?":
            return
        arguments = _arguments(call["arguments"])
        yield from self.call(call["name"], arguments, int(call["result"]), call["more"])

    def call(self, name: str, given: list[str], result: int, more: str) -> Iterator[Operation]:
        match name:
            case "openat":
                yield from self.opened(_joined(given[0], given[1]), given[2], result)
            case "write":
                yield from self.written(given[0], _bytes(given[1])[:result])
            case "pwrite64":
                path = _path(given[0])
                if path is not None:
                    yield Write(path, int(given[3]), _bytes(given[1])[:result])
            case "lseek":
                self.places[_key(given[0])] = result
            case "fsync" | "fdatasync":
                path = _path(given[0])
                if path is not None:
                    yield Sync(path)
            case "ftruncate":
                path = _path(given[0])
                if path is not None:
                    yield Truncate(path, int(given[1]))
            case "rename":
                yield Rename(_text(given[0]), _text(given[1]))
            case "unlink" | "rmdir":
                yield Remove(_text(given[0]))
            case "unlinkat":
                yield Remove(_joined(given[0], given[1]))
            case "mkdir":
                yield MakeFolder(_text(given[0]))
            case _:
                raise Misread(f"{name} is not understood: {given} = {result}{more}")

    def opened(self, path: str, flags: str, descriptor: int) -> Iterator[Operation]:
        self.places[str(descriptor), path] = 0
        if "O_CREAT" in flags or "O_TRUNC" in flags:
            yield Create(path, "O_TRUNC" in flags)
        if "O_APPEND" in flags:
            raise Misread(f"{path} is opened to append")

    def written(self, descriptor: str, data: bytes) -> Iterator[Operation]:
        number, path = _key(descriptor)
        if number == "1":
            for line in data.decode().splitlines():
                yield Said(line)
            return
        place = self.places.get((number, path), 0)
        self.places[number, path] = place + len(data)
        known = _path(descriptor)
        if known is not None and number != "2":
            yield Write(known, place, data)


def operations(lines: Iterable[str], *, within: str) -> list[Operation]:
    """All of them that touch files below the folder `within`, and what the script said."""
    reader = _Reader()
    found = (operation for line in lines for operation in reader.line(line.rstrip("\n")))
    return [operation for operation in found if _is_within(operation, within)]


def _is_within(operation: Operation, folder: str) -> bool:
    match operation:
        case Said():
            return True
        case Rename(source, target):
            inside = [path.startswith(f"{folder}/") for path in (source, target)]
            if inside[0] != inside[1]:
                raise Misread(f"{source} moved to {target}, across the border of {folder}")
            return inside[0]
        case _:
            return operation.path == folder or operation.path.startswith(f"{folder}/")


def _arguments(text: str) -> list[str]:
    """Split at commas outside of strings; strings are hexadecimal and hold none."""
    return [part.strip() for part in text.split(",")]


def _bytes(text: str) -> bytes:
    found = _STRING.fullmatch(text)
    if found is None:
        raise Misread(f"a string that is cut or not hexadecimal: {text[:80]}")
    return bytes.fromhex(found[1].replace("\\x", ""))


def _text(text: str) -> str:
    return os.fsdecode(_bytes(text))


def _key(descriptor: str) -> tuple[str, str]:
    found = _DESCRIPTOR.match(descriptor)
    if found is None:
        raise Misread(f"no descriptor: {descriptor[:200]}")
    return found["number"], _unhex(found["path"])


def _path(descriptor: str) -> str | None:
    """The file of a descriptor; None when its name is gone: nobody finds it after a crash."""
    found = _DESCRIPTOR.match(descriptor)
    return None if found is not None and found["gone"] else _key(descriptor)[1]


def _joined(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(_key(folder)[1], _text(name)))


def _unhex(text: str) -> str:
    return os.fsdecode(bytes.fromhex(text.replace("\\x", ""))) if "\\x" in text else text
