"""`file.read`: the records of a file become documents."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.contract import CallContext, Reply, Request, StepContext
from molecule.component.formats.reading import read
from molecule.component.formats.records import (
    CHARSETS,
    COMPRESSIONS,
    FORMATS,
    BadRecord,
    Declared,
    Unreadable,
)
from molecule.component.registry import operation
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.file import File, as_step_error, check_name
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.effect import Effect, ErrorClass
from molecule.model.errors import StepError

_CHUNK_BYTES: Final = 256 * 1024


@operation(
    "file.read",
    Spec(
        summary="Read a file; hand on its records.",
        fields={
            "path": Field.template("Below the root of the connection."),
            "format": Field.choice("What the file holds.", FORMATS, default="json"),
            "charset": Field.choice("Of CSV and text.", CHARSETS, default="utf-8"),
            "compression": Field.choice("How it is packed.", COMPRESSIONS, default="none"),
        },
        effect=None,
        connection=True,
        reads_outside=True,
        errors=(
            "permanent: no such file, not allowed. data: a bad record, named by its line. "
            "limit: larger than file_bytes_max. transient.definite: the disk."
        ),
        across_failover="Read again; the file may then be a newer one.",
        example=Example(
            config="{type: file.read, connection: inbox, path: 'orders/${number}.json'}",
            given=({"number": 7},),
            gives=(("read orders/7.json", {"path": "orders/7.json"}),),
        ),
    ),
)
class FileRead:
    """CSV and JSON lines give a document per record, the others one."""

    effect = Effect.PURE
    default_output = "replace"

    def __init__(self, config: Config) -> None:
        self._path = config.template("path")
        self._format = config.text("format")
        self._charset = config.text("charset")
        self._compression = config.text("compression")

    def prepare(self, document: Document, context: StepContext) -> Request:
        """The name."""
        name = self._path.text(document, context.names)
        check_name(name)
        return Request(f"read {name}", {"path": name})

    async def perform(self, client: File, request: Request, call: CallContext) -> Reply:
        """The records, all or none."""
        name = request.body["path"]
        call.before_send()
        try:
            async with asyncio.timeout(call.timeout_s):
                values = await asyncio.to_thread(self._read, client, name)
        except TimeoutError as error:
            raise as_step_error(error, name) from None
        return Reply(tuple(values), f"{name}: {len(values)} records")

    def _read(self, client: File, name: str) -> list[Any]:
        whole = self._format in {"json", "text", "bytes"}
        bound = client.file_bytes_max if whole else client.record_bytes_max
        declared = Declared(self._format, self._charset, self._compression, record_bytes_max=bound)
        try:
            return [
                _good(record, name)
                for record in read(_chunks(client.below(name), client.file_bytes_max), declared)
            ]
        except Unreadable as error:
            raise data_error(f"{name}: {error}", field="path") from None
        except OSError as error:
            raise as_step_error(error, name) from None


def _good(record: Any, name: str) -> Any:
    if isinstance(record, BadRecord):
        raise data_error(f"{name}:{record.line}: {record.reason}", field="path")
    return record.value


def _chunks(path: Path, bytes_max: int) -> Iterator[bytes]:
    taken = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            taken += len(chunk)
            if taken > bytes_max:
                raise StepError(
                    f"{path.name}: larger than file_bytes_max, {bytes_max}",
                    error_class=ErrorClass.LIMIT,
                    error_code="file_bytes_max",
                )
            yield chunk
