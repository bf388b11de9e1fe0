"""Words and documents of one assignment, said to the node process until they are answered.

Repeating a word changes nothing (checkpoints carry a sequence, ends a token), so a word without
a sure answer is said again. What must stay true: a refusal by token ends the execution here in
silence.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from molecule.component.answer import Answer
from molecule.config import Limits
from molecule.engine.events import SignalKept
from molecule.engine.instructions import (
    Awaited,
    Blob,
    Checkpoint,
    Commit,
    Confirmed,
    FailedDocument,
    Finish,
    PlannedIntent,
    StepNote,
)
from molecule.model import payload
from molecule.model.document import Document, DocumentRef
from molecule.model.errors import Conflict
from molecule.model.execution import ExecutionState
from molecule.model.ids import Digest, SignalId
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.kernel import Fenced

_PAUSE_S: Final = 0.2
GONE: Final = frozenset({"stale_token", "unknown_execution"})


class Calls(Protocol):
    """The part of the stream that speakers use."""

    async def call(self, message: w.FromWorker) -> w.CallAnswer:
        """Send and wait for the answer."""
        ...


class Refused(Conflict):
    """The cluster refused a word for another reason than its token."""

    code = "word_refused"


class Speaker:
    """Speaks for one execution under one token."""

    def __init__(self, calls: Calls, execution: str, token: int, limits: Limits) -> None:
        self._calls = calls
        self._execution = execution
        self._token = token
        self._limits = limits

    async def commit(self, item: Commit) -> None:
        """Returns when the word is committed. Raises `Fenced` or `Refused`."""
        await self._store(item.checkpoint.blobs)
        commands = [
            *self._confirmations(item.confirmations),
            await self._checkpoint(item.checkpoint, item.steps, item.dead_letters, item.answer),
            *self._intents(item.intents, item.checkpoint.sequence),
        ]
        await self._say(commands)

    async def finish(self, item: Finish) -> None:
        """Returns when the end of the attempt is committed. Raises `Fenced` or `Refused`."""
        commands = list(self._confirmations(item.confirmations))
        if item.checkpoint is not None:
            await self._store(item.checkpoint.blobs)
            commands.append(await self._checkpoint(item.checkpoint, (), ()))
        end = c.EndAttempt(
            execution=self._execution,
            token=self._token,
            state=item.state.value,
            reason=self._text(item.reason),
            error_code=item.failure.code if item.failure else "",
            error=self._text(item.failure.message) if item.failure else "",
            documents_failed=item.documents_failed,
            steps=[_step(note, self._limits) for note in item.steps],
            dead_letters=await self._dead_letters(item.dead_letters),
            wait_ms=item.wait_ms,
            step=item.step,
            wait_until_ms=item.wait_until_ms,
            awaited=[c.Awaited(name=one.name, correlation=one.correlation) for one in item.awaited],
            until_released=_until_released(item),
            gate=item.gate,
            answer=_answer(item.answer),
        )
        if item.documents:
            content = payload.encode_documents(item.documents)
            end.result.CopyFrom(await self._payload(content))
        commands.append(c.Command(version=1, end_attempt=end))
        await self._say(commands)

    async def hand_back(self, kept: Commit | None, *, reason: str) -> None:
        """End the attempt as PENDING with `kept`, whose intents are not said."""
        commands: list[c.Command] = []
        if kept is not None:
            await self._store(kept.checkpoint.blobs)
            commands = [
                *self._confirmations(kept.confirmations),
                await self._checkpoint(kept.checkpoint, kept.steps, kept.dead_letters, kept.answer),
            ]
        end = c.EndAttempt(
            execution=self._execution,
            token=self._token,
            state=ExecutionState.PENDING.value,
            reason=reason,
        )
        await self._say([*commands, c.Command(version=1, end_attempt=end)])

    async def fetch(self, reference: c.DocumentRef) -> bytes:
        """The bytes of a stored payload."""
        answer = await self._insist(w.FromWorker(document_get=w.DocumentGet(reference=reference)))
        return answer.content

    async def signal(self, arrived: w.SignalArrived) -> SignalKept:
        """A signal that was kept for this execution, with its payload."""
        given = arrived.payload
        is_stored = given.WhichOneof("body") == "stored"
        content = await self.fetch(given.stored) if is_stored else given.inline
        value = payload.decode_value(content) if content else None
        return SignalKept(SignalId(arrived.id), Awaited(arrived.name, arrived.correlation), value)

    async def ask(self, command: c.Command) -> w.WordOutcome:
        """What one command came to, whether it was applied or not. Raises `Fenced`."""
        answer = await self._insist(w.FromWorker(word=w.Word(commands=[command])))
        outcome = answer.outcomes[0]
        if not outcome.applied and outcome.code in GONE:
            raise Fenced
        return outcome

    async def _say(self, commands: Sequence[c.Command]) -> None:
        answer = await self._insist(w.FromWorker(word=w.Word(commands=commands)))
        for outcome in answer.outcomes:
            if not outcome.applied:
                _raise_for(outcome.code, outcome.message)

    async def _store(self, blobs: Iterable[Blob]) -> None:
        for blob in blobs:
            await self._put(blob.content)

    async def _payload(self, content: bytes, refers_to: Iterable[DocumentRef] = ()) -> c.Payload:
        named = [_reference(reference) for reference in refers_to]
        if len(content) <= self._limits.payload_inline_bytes_max:
            return c.Payload(inline=content, refers_to=named)
        return c.Payload(stored=await self._put(content), refers_to=named)

    async def _put(self, content: bytes) -> c.DocumentRef:
        put = w.DocumentPut(execution=self._execution, token=self._token, content=content)
        return (await self._insist(w.FromWorker(document_put=put))).reference

    async def _insist(self, message: w.FromWorker) -> w.CallAnswer:
        """Say it until there is a sure answer; an end of the stream ends this too."""
        while True:
            again = w.FromWorker()
            again.CopyFrom(message)
            answer = await self._calls.call(again)
            if answer.done:
                return answer
            if answer.definite and answer.code not in _LATER:
                _raise_for(answer.code, answer.message)
            await asyncio.sleep(_PAUSE_S)

    async def _checkpoint(
        self,
        checkpoint: Checkpoint,
        steps: Sequence[StepNote],
        dead_letters: Sequence[FailedDocument],
        answer: Answer | None = None,
    ) -> c.Command:
        return c.Command(
            version=1,
            record_checkpoint=c.RecordCheckpoint(
                execution=self._execution,
                token=self._token,
                sequence=checkpoint.sequence,
                position=await self._payload(checkpoint.position, checkpoint.refers_to),
                steps=[_step(note, self._limits) for note in steps],
                dead_letters=await self._dead_letters(dead_letters),
                consumed=checkpoint.consumed,
                answer=_answer(answer),
            ),
        )

    def _confirmations(self, confirmed: Sequence[Confirmed]) -> list[c.Command]:
        if not confirmed:
            return []
        told = [c.Confirmation(effect_key=one.effect_key, how=one.how) for one in confirmed]
        said = c.ConfirmEffects(execution=self._execution, token=self._token, confirmations=told)
        return [c.Command(version=1, confirm_effects=said)]

    def _intents(self, planned: Sequence[PlannedIntent], sequence: int) -> list[c.Command]:
        if not planned:
            return []
        intents = [
            c.Intent(
                effect_key=one.effect_key,
                step=one.step,
                document=one.document,
                effect=one.effect.value,
                timeout_ms=one.timeout_ms,
                target=self._text(one.target),
                request=_reference(one.request) if one.request else None,
                verifiable=one.verifiable,
            )
            for one in planned
        ]
        said = c.RecordIntents(
            execution=self._execution,
            token=self._token,
            intents=intents,
            # A copy of this word that is held up on its way must not begin a finished effect anew.
            sequence=sequence,
        )
        return [c.Command(version=1, record_intents=said)]

    async def _dead_letters(self, failed: Sequence[FailedDocument]) -> list[c.DeadLetter]:
        """Inline while they leave room in the entry: many small ones may be too much together."""
        found = []
        room = self._limits.entry_bytes_max // 4
        for one in failed:
            content = payload.encode_documents([one.document])
            room -= len(content)
            if room >= 0:
                kept = await self._payload(content)
            else:
                kept = c.Payload(stored=await self._put(content))
            found.append(self._dead_letter(one, kept))
        return found

    def _dead_letter(self, failed: FailedDocument, kept: c.Payload) -> c.DeadLetter:
        return c.DeadLetter(
            document=failed.document.id,
            step=failed.failure.step,
            error_class=failed.failure.error_class.value,
            error_code=failed.failure.code,
            error=self._text(failed.failure.message),
            payload=kept,
        )

    def _text(self, text: str) -> str:
        return text[: self._limits.timeline_text_length_max]


_LATER: Final = frozenset({"no_leader", "overloaded", "draining", "storage_full", "unavailable"})
"""Definite and likely to pass; what is not definite is said again whatever it is."""


def decode(content: bytes) -> tuple[Document, ...]:
    """Documents of a submission."""
    return payload.decode_documents(content) if content else ()


def _until_released(item: Finish) -> bool:
    """True for a wait that only the leader ends."""
    is_untimed = not item.wait_ms and not item.wait_until_ms and not item.awaited
    return item.state is ExecutionState.WAITING and is_untimed


def digest_of(reference: c.DocumentRef) -> Digest:
    """The digest that a reference names."""
    return Digest(reference.digest)


def _raise_for(code: str, message: str) -> None:
    if code in GONE:
        raise Fenced
    raise Refused(f"{code}: {message}" if message else code)


def _answer(told: Answer | None) -> c.HttpAnswer | None:
    if told is None:
        return None
    headers = [c.HttpHeader(name=name, value=value) for name, value in told.headers]
    return c.HttpAnswer(status=told.status, headers=headers, body=told.body)


def _reference(reference: DocumentRef) -> c.DocumentRef:
    return c.DocumentRef(digest=reference.digest, size_bytes=reference.size_bytes)


def _step(note: StepNote, limits: Limits) -> c.StepRecord:
    longest = limits.timeline_text_length_max
    return c.StepRecord(
        step=note.step,
        type=note.type,
        started_at_ms=note.started_at_ms,
        duration_us=note.duration_us,
        documents_in=note.documents_in,
        documents_out=note.documents_out,
        retries=note.retries,
        error=note.error[:longest],
        error_code=note.error_code,
        detail=note.detail[:longest],
    )
