"""Triggers that this worker runs, and what each may ask of the cluster.

A trigger that fails is started again after a pause. What must stay true: a submission counts as
done only when it is committed, and one that was refused by token ends the trigger here.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from molecule.component.contract import (
    BadRecord,
    Door,
    GroupProgress,
    GroupRecord,
    SubmissionRefused,
    Table,
    TriggerSubmission,
)
from molecule.model import payload
from molecule.model.document import Document
from molecule.model.errors import MoleculeError, Overlap, Overloaded
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import worker_pb2 as w
from molecule.worker.faring import Faring
from molecule.worker.kernel import Fenced
from molecule.worker.runner import Services

_log = structlog.get_logger()

_PAUSE_S: Final = 0.5
_RESTART_S: Final = 5.0
_MOVED: Final = frozenset({"stale_token"})
_NO_ROOM: Final = frozenset({Overloaded.code})


class TriggerRunner:
    """One trigger under one token; implements `TriggerContext`."""

    client: Any
    door: Door

    def __init__(self, order: w.RunTrigger, services: Services) -> None:
        self._order = order
        self._calls = services.calls
        self._lease = services.lease
        self._packages = services.packages
        self._limits = services.limits
        self._clock = services.clock
        self.tables: Mapping[str, Table] = {}
        self.on_since_ms = order.on_since_ms
        self.activated_at_ms = order.activated_at_ms
        self.process = order.process
        self.environment = order.environment
        self.faring = Faring(error_length_max=services.limits.trigger_error_length_max)

    @property
    def token(self) -> int:
        """The fencing token of this assignment."""
        return self._order.token

    async def run(self) -> None:
        """Run until cancelled or moved; a failing trigger begins again after a pause."""
        while True:
            try:
                await self._run_once()
            except Fenced:
                _log.info("trigger_fenced", process=self.process, token=self.token)
                return
            except MoleculeError as error:
                _log.warning("trigger_failed", process=self.process, error=error.message)
                self.faring.failed(error, error.message, now_ms=self.now_ms())
            except Exception as error:  # noqa: BLE001
                # A named boundary: a broken trigger must not end the worker.
                _log.exception("trigger_broken", process=self.process)
                what = f"{type(error).__name__}: {error}"
                self.faring.failed(error, what, now_ms=self.now_ms())
            else:
                return
            await asyncio.sleep(_RESTART_S)
            self.faring.begun_again()

    async def _run_once(self) -> None:
        with self._packages.using(self._order.version, self._order.environment) as opened:
            node = opened.process.definition.trigger
            self.client = await opened.client(node.connection)
            self.door = opened.process.door
            self.tables = opened.process.tables
            await node.component.run(self)

    async def submit(
        self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None = None
    ) -> None:
        """Done when all of it is committed, `group` in the last of its parts."""
        try:
            await self._submit(submissions, group)
        except TriggerRefused as refused:
            # Some triggers pass it over and go on; people shall see it all the same.
            self.faring.failed(refused, refused.message, now_ms=self.now_ms())
            raise
        if submissions:
            self.faring.worked(now_ms=self.now_ms())

    async def _submit(
        self, submissions: Sequence[TriggerSubmission], group: GroupRecord | None
    ) -> None:
        self._lease.check()
        parts = self._parts([await self._submission(one, group) for one in submissions])
        for number, part in enumerate(parts, start=1):
            is_last = number == len(parts)
            asked = w.TriggerSubmit(
                environment=self.environment,
                process=self.process,
                token=self.token,
                submissions=part,
            )
            if group is not None and is_last:
                asked.group.CopyFrom(await self._group_record(group))
            answer = await self._until_there_is_room(asked)
            for outcome in answer.outcomes:
                if outcome.code == Overlap.code:
                    # A definite answer that the designer asked for: this event is skipped.
                    _log.info("event_skipped", process=self.process, why=outcome.message)
                elif not outcome.applied:
                    _refuse(outcome.code, outcome.message)

    async def _until_there_is_room(self, asked: w.TriggerSubmit) -> w.CallAnswer:
        """The answer once nothing of it was refused for lack of room: keys make a repeat harmless.

        What had no room waits here, not in the record of a group that says it was submitted.
        """
        while True:
            answer = await self._insist(w.FromWorker(trigger_submit=asked))
            if all(outcome.code not in _NO_ROOM for outcome in answer.outcomes):
                return answer
            await asyncio.sleep(_PAUSE_S)

    def _parts(self, submissions: Sequence[c.SubmitExecution]) -> list[list[c.SubmitExecution]]:
        """Parts that fit into an entry of the log, whatever a record grows to when it is read."""
        limits = self._limits
        # A part is an entry, and every voter applies an entry in one go.
        together_max = min(limits.submissions_per_batch_max, limits.entry_commands_gathered_max)
        parts: list[list[c.SubmitExecution]] = [[]]
        size_bytes = 0
        for one in submissions:
            size_bytes += one.ByteSize()
            is_full = len(parts[-1]) >= together_max
            # The other half is for the progress of the group, and for what the node stamps.
            if parts[-1] and (is_full or size_bytes > limits.entry_bytes_max // 2):
                parts.append([])
                size_bytes = one.ByteSize()
            parts[-1].append(one)
        return parts

    async def group(self, group: str) -> GroupProgress:
        """What is committed of this group."""
        answer = await self._insist(
            w.FromWorker(group_get=w.GroupGet(group=group, token=self.token))
        )
        found = answer.group
        return GroupProgress(
            found.known,
            found.through,
            found.closed,
            found.open,
            found.failed,
            found.rejected,
            found.done,
            found.name,
        )

    async def settle_group(self, group: str) -> None:
        """The cluster may forget the group."""
        said = c.SettleGroup(group=group, trigger_token=self.token)
        word = w.Word(commands=[c.Command(version=1, settle_group=said)])
        answer = await self._insist(w.FromWorker(word=word))
        for outcome in answer.outcomes:
            if not outcome.applied and outcome.code in _MOVED:
                raise Fenced

    async def wait(self, seconds: float) -> None:
        """Let time pass. Triggers do so between two rounds of their work."""
        self.faring.round_over(now_ms=self.now_ms())
        await asyncio.sleep(seconds)

    def now_ms(self) -> int:
        """Cluster time."""
        return self._clock.now_ms()

    async def _submission(
        self, one: TriggerSubmission, group: GroupRecord | None
    ) -> c.SubmitExecution:
        content = payload.encode_documents(one.documents)
        compared = one.content.encode() or content
        body = f"{self.environment}\n{self.process}\n".encode() + compared
        return c.SubmitExecution(
            idempotency_key=one.idempotency_key,
            body_digest=hashlib.sha256(body).hexdigest(),
            environment=self.environment,
            process=self.process,
            input=await self._payload(content),
            concurrency_key=one.stamp.concurrency_key,
            track=dict(one.stamp.track),
            group=group.group if group is not None else "",
            trigger_token=self.token,
        )

    async def _group_record(self, group: GroupRecord) -> c.RecordGroup:
        return c.RecordGroup(
            group=group.group,
            environment=self.environment,
            process=self.process,
            trigger_token=self.token,
            through=group.through,
            closed=group.closed,
            rejected=group.rejected,
            name=group.name,
            bad_records=[await self._bad_record(one) for one in group.bad_records],
        )

    async def _bad_record(self, bad: BadRecord) -> c.DeadLetter:
        kept = Document(bad.id, bad.content, properties={"place": bad.place})
        return c.DeadLetter(
            document=bad.id,
            step="trigger",
            error_class="data",
            error_code="bad_record",
            error=f"{bad.place}: {bad.reason}"[: self._limits.timeline_text_length_max],
            payload=await self._payload(payload.encode_documents([kept])),
        )

    async def _payload(self, content: bytes) -> c.Payload:
        if len(content) <= self._limits.payload_inline_bytes_max:
            return c.Payload(inline=content)
        put = w.DocumentPut(token=self.token, content=content)
        answer = await self._insist(w.FromWorker(document_put=put))
        return c.Payload(stored=answer.reference)

    async def _insist(self, message: w.FromWorker) -> w.CallAnswer:
        """Say it until there is a sure answer: keys and tokens make a repeat harmless."""
        while True:
            again = w.FromWorker()
            again.CopyFrom(message)
            answer = await self._calls.call(again)
            if answer.done:
                return answer
            if answer.definite and answer.code in _FINAL:
                _refuse(answer.code, answer.message)
            await asyncio.sleep(_PAUSE_S)


_FINAL: Final = frozenset(
    {"stale_token", "invalid_input", "limit_exceeded", "forbidden", "key_conflict", "not_found"}
)


class TriggerRefused(SubmissionRefused):
    """The cluster refused what a trigger asked for; the message says why."""

    code = "trigger_refused"


def _refuse(code: str, message: str) -> None:
    if code in _MOVED:
        raise Fenced
    raise TriggerRefused(code, message)
