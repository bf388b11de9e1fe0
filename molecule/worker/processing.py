"""Pure work of steps: on the loop in small slices, in a thread once a step has shown to be slow.

Expressions let other threads run while they are evaluated. What must stay true: one slow step
takes the loop at most once per process version, however many executions come to it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from molecule.component.contract import Request
from molecule.engine.events import Outcome
from molecule.engine.failures import Failure
from molecule.engine.instructions import PrepareRequests, RunStep
from molecule.worker import components

_SLICE_DOCUMENTS: Final = 64
_SLICE_S: Final = 0.005
_SLOW_S: Final = 0.050
_SLOW_STEPS_MAX: Final = 1_000
_LIST_ON_LOOP_MAX: Final = 500
_THREADS: Final = 2

_Work = TypeVar("_Work", RunStep, PrepareRequests)
_Found = TypeVar("_Found")


class Processing:
    """Runs local steps for all executions of a worker."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="steps")
        self._slow: dict[int, None] = {}

    def close(self) -> None:
        """Take no more work; what runs in a thread is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run_step(self, instruction: RunStep) -> tuple[Outcome, ...]:
        """Outcomes as `components.run_step` gives them."""
        if instruction.step.spec.per == "list":
            is_long = len(instruction.documents) > _LIST_ON_LOOP_MAX
            return await self._one(instruction, components.run_step, in_thread=is_long)
        return await self._sliced(instruction, components.run_step)

    async def prepare(self, instruction: PrepareRequests) -> tuple[Request | Failure, ...]:
        """Requests as `components.prepare` gives them."""
        return await self._sliced(instruction, components.prepare)

    async def _sliced(
        self, instruction: _Work, work: Callable[[_Work], tuple[_Found, ...]]
    ) -> tuple[_Found, ...]:
        if len(instruction.documents) <= _SLICE_DOCUMENTS:
            return await self._one(instruction, work)
        found: list[_Found] = []
        began = time.perf_counter()
        for start in range(0, len(instruction.documents), _SLICE_DOCUMENTS):
            end = start + _SLICE_DOCUMENTS
            part = replace(
                instruction,
                documents=instruction.documents[start:end],
                contexts=instruction.contexts[start:end],
            )
            found.extend(await self._one(part, work))
            if time.perf_counter() - began > _SLICE_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
        return tuple(found)

    async def _one(
        self,
        instruction: _Work,
        work: Callable[[_Work], tuple[_Found, ...]],
        *,
        in_thread: bool = False,
    ) -> tuple[_Found, ...]:
        step = id(instruction.step)
        if in_thread or step in self._slow:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, instruction)
        began = time.perf_counter()
        found = work(instruction)
        if time.perf_counter() - began > _SLOW_S:
            self._slow[step] = None
            while len(self._slow) > _SLOW_STEPS_MAX:
                self._slow.pop(next(iter(self._slow)))
        return found
