"""`file.watch`: files that appear in a folder become executions.

A file is known by the digest of its content, a record by its number in it: whoever reads it again
asks for the same executions under the same keys. Progress is committed together with the
submissions, so a successor goes on where the record of the group stands. What must stay true: a
file is moved only when every execution of it is terminal, and its group is settled after the move.
"""

import asyncio
import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from molecule.component.config import Config
from molecule.component.contract import (
    TRIGGER_PROPERTY,
    BadRecord,
    GroupProgress,
    GroupRecord,
    Stamp,
    SubmissionRefused,
    TriggerContext,
    TriggerSubmission,
)
from molecule.component.formats import records
from molecule.component.formats.reading import read
from molecule.component.registry import trigger
from molecule.component.spec import Example, Field, Spec
from molecule.connectors.file import File
from molecule.model.document import Document
from molecule.model.errors import InvalidConfig, StepError
from molecule.model.ids import DocumentId
from molecule.model.payload import encode_value
from molecule.triggers.watched_files import (
    Changed,
    Found,
    Watched,
    finish_moves,
    move,
    note_move,
    notes_folder,
    remove_note,
)

_BATCH: Final = 1_000
_BATCH_BYTES: Final = 1024 * 1024
_FILES_OPEN_MAX: Final = 16
_STATES: Final = ("completed", "failed")
_NEVER: Final = frozenset({"limit_exceeded", "invalid_input"})
"""Refusals that lie in the file: asking again would be refused again."""


@trigger(
    "file.watch",
    Spec(
        summary="Submit new files of a folder: one execution per record, or per file.",
        fields={
            "pattern": Field.text("Names to take, such as flights-*.csv.gz; no folders."),
            "format": Field.choice("What the files hold.", records.FORMATS, default="csv"),
            "charset": Field.choice("Of CSV and text.", records.CHARSETS, default="utf-8"),
            "compression": Field.choice(
                "How they are packed.", records.COMPRESSIONS, default="none"
            ),
            "per": Field.choice(
                "document: an execution per record; event: one per file.",
                ("document", "event"),
                default="event",
            ),
            "stable_for": Field.duration("A file must rest this long first.", default="1s"),
            "every": Field.duration("How often to look.", default="1s"),
            "order": Field.choice("Which file first.", ("name", "age"), default="name"),
            "after": Field.any(
                "{completed: {move: done/}, failed: {move: failed/}}: where a file goes when all "
                "its executions are terminal; failed when one failed or it could not be read.",
                required=True,
            ),
        },
        connection=True,
        reads_outside=True,
        errors=(
            "A bad record is kept apart with its line; an unreadable file goes to `failed`. "
            "Without its folder it is `failing` until that is there."
        ),
        across_failover=(
            "Read again by the successor from the committed record on; nothing is submitted twice."
        ),
        example=Example(
            config="""
                type: file.watch
                connection: inbox
                pattern: flights-*.csv.gz
                format: csv
                compression: gzip
                per: document
                after: {completed: {move: done/}, failed: {move: failed/}}
            """,
        ),
    ),
)
class FileWatch:
    """Runs on one node; several files may be under way at a time, one of them being read."""

    def __init__(self, config: Config) -> None:
        self._pattern = config.text("pattern")
        self._format = config.text("format")
        self._charset = config.text("charset")
        self._compression = config.text("compression")
        self._per_document = config.text("per") == "document"
        self._stable_ms = config.duration_ms("stable_for")
        self._every_s = config.duration_ms("every") / 1000
        self._by_age = config.text("order") == "age"
        self._after = _after(config.anything("after"))
        if "/" in self._pattern or self._pattern.startswith("."):
            raise InvalidConfig("pattern: must be the name of files, without folders")
        if self._every_s <= 0:
            raise InvalidConfig("every: must be longer than nothing")

    async def run(self, context: TriggerContext) -> None:
        """Look, submit, act upon what ended; until cancelled."""
        client: File = context.client
        watched = Watched(client.root, self._stable_ms)
        under_way: dict[str, Found] = {}
        notes = notes_folder(client.root, context.environment, context.process)
        for digest in await asyncio.to_thread(finish_moves, client.root, notes):
            await context.settle_group(self._group(context, digest))
            await asyncio.to_thread(remove_note, notes, digest)
        while True:
            found = await asyncio.to_thread(
                watched.look, self._matches, now_ms=context.now_ms(), by_age=self._by_age
            )
            for file in found:
                if len(under_way) < _FILES_OPEN_MAX and file.digest not in under_way:
                    await self._submit_file(context, client, file)
                    under_way[file.digest] = file
            for digest, file in list(under_way.items()):
                if await self._ended(context, client, file):
                    del under_way[digest]
                    watched.forget(file.name)
            await context.wait(self._every_s)

    def _matches(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self._pattern)

    def _group(self, context: TriggerContext, digest: str) -> str:
        return f"{context.environment}/{context.process}/{digest}"

    async def _submit_file(self, context: TriggerContext, client: File, file: Found) -> None:
        group = self._group(context, file.digest)
        progress = await context.group(group)
        if progress.closed:
            return
        reading = _Reading(file, group, progress)
        try:
            with file.opened() as chunks:
                found = read(chunks, self._declared(client))
                submit = self._submit_records if self._per_document else self._submit_whole
                await submit(context, reading, found)
        except Changed:
            # It is another file now, and will be found as such when it rests. What was read of the
            # old one is kept; its group must end all the same.
            if reading.through:
                reading.keep_apart(reading.through, file.name, "changed while it was read", None)
                await context.submit((), reading.record(closed=True))
        except SubmissionRefused as error:
            if error.reason_code not in _NEVER:
                raise
            reading.through = progress.through
            reading.keep_apart(reading.through, file.name, error.message, None)
            await context.submit((), reading.record(closed=True))
        except (records.Unreadable, OSError) as error:
            reading.keep_apart(reading.through, file.name, str(error), None)
            await context.submit((), reading.record(closed=True))

    def _declared(self, client: File) -> records.Declared:
        whole = self._format in {"json", "text", "bytes"}
        bound = client.file_bytes_max if whole else client.record_bytes_max
        return records.Declared(
            self._format, self._charset, self._compression, record_bytes_max=bound
        )

    async def _submit_records(
        self, context: TriggerContext, reading: "_Reading", found: Iterator[records.Read]
    ) -> None:
        found = _one_each(found) if self._format == "json" else found
        end: _End | None = None
        while end is None:
            batch, end = await asyncio.to_thread(_batch, found)
            await asyncio.to_thread(reading.file.check_unchanged)
            submissions = []
            for record in batch:
                if record.number < reading.progress.through:
                    continue
                reading.through = record.number + 1
                submission = self._submission(context, reading, record)
                if submission is not None:
                    submissions.append(submission)
            closed = end is not None and end.error is None
            if submissions or closed or reading.bad:
                await context.submit(submissions, reading.record(closed=closed))
        if end.error is not None:
            raise end.error

    async def _submit_whole(
        self, context: TriggerContext, reading: "_Reading", found: Iterator[records.Read]
    ) -> None:
        documents: list[Document] = []
        for record in await asyncio.to_thread(lambda: list(found)):
            if isinstance(record, records.BadRecord):
                reading.keep(record)
            else:
                documents.append(reading.document(len(documents), record))
        await asyncio.to_thread(reading.file.check_unchanged)
        reading.through = 1
        submissions = []
        if documents:
            stamp = self._stamp(context, reading, documents, 0)
            if stamp is not None:
                key = f"{reading.group}/event"
                submissions.append(TriggerSubmission(tuple(documents), key, stamp, content=key))
        await context.submit(submissions, reading.record(closed=True))

    def _submission(
        self, context: TriggerContext, reading: "_Reading", record: records.Read
    ) -> TriggerSubmission | None:
        if isinstance(record, records.BadRecord):
            reading.keep(record)
            return None
        documents = [reading.document(0, record)]
        stamp = self._stamp(context, reading, documents, record.number)
        if stamp is None:
            return None
        # The key names the content: the same file under another name is the same submission.
        key = f"{reading.group}/{record.number}"
        return TriggerSubmission(tuple(documents), key, stamp, content=key)

    def _stamp(
        self, context: TriggerContext, reading: "_Reading", documents: list[Document], number: int
    ) -> Stamp | None:
        try:
            return context.door.stamp(documents, now_ms=context.now_ms())
        except StepError as error:
            trigger_facts = documents[0].properties[TRIGGER_PROPERTY]
            place = f"{reading.file.name}:{trigger_facts['line']}"
            content = encode_value(documents[0].value)[: records.KEPT_BYTES]
            reading.keep_apart(number, place, error.message, content)
            return None

    async def _ended(self, context: TriggerContext, client: File, file: Found) -> bool:
        group = self._group(context, file.digest)
        progress = await context.group(group)
        if not progress.done:
            return not progress.known
        unreadable = progress.rejected > 0 and (
            progress.through == 0
            or await asyncio.to_thread(_is_unreadable, file, self._declared(client))
        )
        folder = self._after["failed" if progress.failed or unreadable else "completed"]
        notes = notes_folder(client.root, context.environment, context.process)
        await asyncio.to_thread(note_move, notes, file, folder)
        await asyncio.to_thread(move, client.root, file, folder)
        await context.settle_group(group)
        await asyncio.to_thread(remove_note, notes, file.digest)
        return True


@dataclass(frozen=True, slots=True)
class _End:
    """The file was read to its end, or to where nothing more can be read."""

    error: records.Unreadable | None = None


def _batch(found: Iterator[records.Read]) -> tuple[list[records.Read], _End | None]:
    """The next records, bounded in number and bytes; with the end when it was reached."""
    batch: list[records.Read] = []
    size = 0
    try:
        for record in found:
            batch.append(record)
            size += record.size_bytes if isinstance(record, records.Record) else 0
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                return batch, None
    except records.Unreadable as error:
        return batch, _End(error)
    return batch, _End()


def _is_unreadable(file: Found, declared: records.Declared) -> bool:
    try:
        with file.opened() as chunks:
            for _ in read(chunks, declared):
                pass
    except records.Unreadable:
        return True
    except (Changed, OSError):
        return False
    return False


@dataclass(slots=True)
class _Reading:
    """One file on its way: how far it is read, what was kept apart since the last submit."""

    file: Found
    group: str
    progress: GroupProgress
    through: int = 0
    rejected: int = 0
    bad: list[BadRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.through = self.progress.through
        self.rejected = self.progress.rejected

    def document(self, at: int, record: records.Record) -> Document:
        facts = {
            "name": "file.watch",
            "file": self.file.name,
            "record": record.number,
            "line": record.line,
        }
        media_type = "application/json"
        if isinstance(record.value, bytes):
            media_type = "application/octet-stream"
        return Document(DocumentId(str(at)), record.value, media_type, {TRIGGER_PROPERTY: facts})

    def keep(self, record: records.BadRecord) -> None:
        place = f"{self.file.name}:{record.line}"
        self.keep_apart(record.number, place, record.reason, record.content)

    def keep_apart(self, number: int, place: str, reason: str, content: Any) -> None:
        self.rejected += 1
        self.bad.append(BadRecord(DocumentId(str(number)), place, reason, content))

    def record(self, *, closed: bool) -> GroupRecord:
        bad, self.bad = tuple(self.bad), []
        return GroupRecord(self.group, self.file.name, self.through, closed, self.rejected, bad)


def _one_each(found: Iterator[records.Read]) -> Iterator[records.Read]:
    """Elements of a JSON list as records of their own."""
    for record in found:
        if isinstance(record, records.Record) and isinstance(record.value, list):
            for number, value in enumerate(record.value):
                yield records.Record(number, 1, value)
        else:
            yield record


def _after(after: Any) -> dict[str, str]:
    if not isinstance(after, dict) or set(after) != set(_STATES):
        raise InvalidConfig("after: needs completed and failed, each {move: FOLDER/}")
    found = {}
    for state, what in after.items():
        folder = what.get("move") if isinstance(what, dict) and set(what) == {"move"} else None
        if not isinstance(folder, str) or not folder.strip("/") or folder.startswith("/"):
            raise InvalidConfig(f"after.{state}: needs {{move: FOLDER/}}, below the root")
        if {"..", "."} & set(folder.split("/")):
            raise InvalidConfig(f"after.{state}: {folder} leaves the root")
        found[str(state)] = folder
    return found
