"""`file.write`: a document becomes a file, whole or not at all."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Final

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.formats import writing
from molecule.component.formats.records import CHARSETS, FORMATS
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.file import File, as_step_error, check_name
from molecule.model.document import Document
from molecule.model.effect import Effect

_KEYED_LENGTH: Final = 16
_MODE: Final = 0o666


@operation(
    "file.write",
    Spec(
        summary="Write each document, or what `content` makes of it, to a file of its own.",
        fields={
            "path": Field.template("Below the root of the connection."),
            "content": Field.template("Written instead of the document.", required=False),
            "format": Field.choice("How it is written.", FORMATS, default="json"),
            "charset": Field.choice("Of CSV and text.", CHARSETS, default="utf-8"),
        },
        effect=None,
        connection=True,
        errors=(
            "permanent: not allowed. data: a value that the format cannot hold, a path outside. "
            "transient.definite: the disk."
        ),
        across_failover="Written again under the same temporary name, then renamed: no change.",
        example=Example(
            config="{type: file.write, connection: outbox, path: 'late/${flight}.json'}",
            given=({"flight": "UA15"},),
            gives=(
                (
                    "write late/UA15.json",
                    {"path": "late/UA15.json", "content": b'{"flight":"UA15"}'},
                ),
            ),
        ),
    ),
)
class FileWrite:
    """Temporary name under the effect key, then rename: readers never see half a file."""

    effect = Effect.IDEMPOTENT
    default_output = "keep"

    def __init__(self, config: Config) -> None:
        self._path = config.template("path")
        self._content = config.optional_template("content")
        self._format = config.text("format")
        self._charset = config.text("charset")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """Name and bytes."""
        name = self._path.text(document, context.names)
        check_name(name)
        value = self._content.value(document, context.names) if self._content else document.value
        content = writing.write(value, self._format, charset=self._charset)
        return Request(f"write {name}", {"path": name, "content": content})

    async def perform(self, client: File, request: Request, call: CallContext) -> Reply:
        """The file is there, synced, under its name."""
        name, content = request.body["path"], request.body["content"]
        try:
            async with asyncio.timeout(call.timeout_s):
                waiting, path = await asyncio.to_thread(
                    _put, client, name, content, call.effect_key
                )
            call.before_send()
            _rename(waiting, path)
            await asyncio.to_thread(_sync_names, path, client.real_root)
        except OSError as error:
            raise as_step_error(error, name) from None
        return Reply(detail=f"{name}: {len(content)} bytes")


def _put(client: File, name: str, content: bytes, key: str) -> tuple[Path, Path]:
    _make_root(client.real_root)
    path = client.below(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    keyed = hashlib.sha256(key.encode()).hexdigest()[:_KEYED_LENGTH]
    waiting = path.parent / f".{keyed}.part"
    # Never cut to nothing first: a thread of an earlier try may wake up late, and what it writes is
    # the same.
    with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT, _MODE), "wb") as file:
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return waiting, path


def _rename(waiting: Path, path: Path) -> None:
    # Not in a thread: nothing may come between the fence and the effect.
    waiting.replace(path)


def _sync_names(path: Path, root: Path) -> None:
    """The name of the file and of each folder up to the root, which an earlier try may have made.

    Where the root itself was missing, its name is synced by whoever made it.
    """
    for folder in path.parents:
        _sync_folder(folder)
        if folder == root:
            return


def _make_root(root: Path) -> None:
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
