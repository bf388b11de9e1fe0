"""Which steps of an attempt run now: what the node will know should the worker die of one.

Charging belongs to the state. What stays true: in a careful attempt the node has heard of a step
before it runs, and local steps of careful attempts run one at a time in a worker.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from molecule.wire.v1 import worker_pb2 as w

_EVIDENCE_S: Final = 0.005
"""How long a step of a careful attempt waits, so that the word that it begins leaves before it."""

TellStep = Callable[[str, int, str], None]
"""Tells the node process at once: execution, token, the step that begins; empty: one ended."""


class Evidence:
    """Of one attempt; only its runner changes it. `turn` is shared by all attempts of a worker."""

    def __init__(self, order: w.RunExecution, tell_step: TellStep, turn: asyncio.Lock) -> None:
        self._order = order
        self._tell_step = tell_step
        self._turn = turn
        self._steps: dict[int, str] = {}

    @property
    def step(self) -> str:
        """The step that began first of those that run; empty between steps."""
        return next(iter(self._steps.values()), "")

    async def begin(self, call: int, step: str) -> None:
        """A step is about to run."""
        self._steps[call] = step
        if self._order.careful:
            # Should this very step kill the worker, the node process must have heard of it.
            self._tell_step(self._order.execution, self._order.token, step)
            await asyncio.sleep(_EVIDENCE_S)

    def end(self, call: int) -> None:
        """It has ended."""
        self._steps.pop(call, None)
        if self._order.careful:
            # Should another one kill the worker, this execution is not to be charged for it.
            self._tell_step(self._order.execution, self._order.token, self.step)

    def turn(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """To be held while a local step runs; free unless the attempt is careful."""
        return self._turn if self._order.careful else contextlib.nullcontext()
