"""Callers who wait until executions have ended, and what they are told of how each stands.

An end that comes while somebody waits is told from the entry that brought it; only what had ended
before is read. What must stay true: nobody is told an end that is not committed.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from molecule.cluster import answers, volatile_views
from molecule.config import Limits
from molecule.model.errors import NotFound, Overloaded, Purged
from molecule.model.execution import ACTIVE, ExecutionState
from molecule.model.ids import ExecutionId
from molecule.node.payloads import Payloads
from molecule.node.reads import Reads
from molecule.node.replica import Replica, Settled
from molecule.storage.rows import PayloadRow
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import door_pb2 as d

_Waiters = dict[str, asyncio.Future[Settled]]


class Ends:
    """One per node process, used by its door."""

    def __init__(
        self,
        *,
        replica: Replica,
        reads: Reads,
        store: StateStore,
        payloads: Payloads,
        limits: Limits,
    ) -> None:
        self._replica = replica
        self._reads = reads
        self._store = store
        self._payloads = payloads
        self._limits = limits

    async def wait(
        self,
        results: Sequence[d.SubmitResult],
        wait_ms: int,
        *,
        accepted: bool,
        listens: bool = False,
    ) -> None:
        """Fill in how each stands once all are terminal or parked, or the wait is over.

        `listens`: for callers of a listener, who may be answered before the end.
        """
        within_s = min(wait_ms, self._limits.wait_ms_max) / 1000
        waiters: _Waiters = {}
        if within_s > 0:
            with contextlib.ExitStack() as stack:
                try:
                    for result in results:
                        if result.execution:
                            waiter = stack.enter_context(
                                self._replica.waiter(result.execution, or_answered=listens)
                            )
                            waiters[result.execution] = waiter
                except Overloaded:
                    if not accepted:
                        raise
                    # The caller learns what was accepted and may wait for it again.
                pending = [
                    waiter
                    for execution, waiter in waiters.items()
                    if not waiter.done() and not await self._is_settled(execution, listens=listens)
                ]
                if pending:
                    await asyncio.wait(pending, timeout=within_s)
        for result in results:
            if result.execution:
                await self._tell(result, waiters, accepted=accepted)
                if listens:
                    await self._tell_answer(result)

    async def _tell(self, result: d.SubmitResult, waiters: _Waiters, *, accepted: bool) -> None:
        waiter = waiters.get(result.execution)
        settled = waiter.result() if waiter is not None and waiter.done() else None
        if settled is not None and settled.view is not None:
            await self._fill(result, settled.view, settled.result)
            return
        try:
            view = await self._reads.read("execution", result.execution, {})
        except NotFound:
            if not accepted:
                raise
            # The leader accepted it a moment ago; this node's copy is behind.
            result.state = ExecutionState.PENDING.value
            return
        row = None
        if view["state"] == ExecutionState.COMPLETED:
            row = await self._store.payload(result.execution, "result")
        await self._fill(result, view, row)

    async def _tell_answer(self, result: d.SubmitResult) -> None:
        row = await self._store.payload(result.execution, answers.SLOT)
        if row is not None:
            result.answer.ParseFromString(await self._payloads.kept(row))

    async def _is_settled(self, execution: str, *, listens: bool) -> bool:
        known = self._replica.state.executions.get(ExecutionId(execution))
        if known is not None:
            is_answered = known.progress is not None and known.progress.answered
            return known.state not in ACTIVE or (listens and is_answered)
        # Not here: ended, or accepted by the leader and not applied on this node yet.
        return ExecutionId(execution) in self._replica.state.ended or (
            await self._store.history_one(execution) is not None
        )

    async def _fill(
        self, result: d.SubmitResult, view: Mapping[str, Any], row: PayloadRow | None
    ) -> None:
        result.state = view["state"]
        if view["state"] not in ACTIVE:  # Why it waits is no error of it.
            result.error_code = view.get("error_code", "")
            result.error = view.get("error", "") or (
                view.get("reason", "") if view["state"] != ExecutionState.COMPLETED else ""
            )
        if view["state"] == ExecutionState.COMPLETED:
            if volatile_views.is_id(view["id"]):
                result.error_code, result.error = Purged.code, "its documents were never kept"
                return
            if self._reads.are_documents_purged(view):
                result.error_code, result.error = Purged.code, "its documents were purged"
                return
            result.result = b"[]" if row is None else await self._payloads.kept(row)
