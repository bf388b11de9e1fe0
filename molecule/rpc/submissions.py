"""Submissions over one stream between the gateway and its node process: `stream_calls.py`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from molecule.config import Limits
from molecule.model.errors import MoleculeError
from molecule.rpc import guard, stream_calls
from molecule.rpc.stream_calls import StreamCalls, Words
from molecule.wire.v1 import door_pb2 as d
from molecule.wire.v1 import submissions_pb2 as s

Answer = Callable[[d.SubmitRequest, float], Awaitable[d.SubmitReply]]
"""Answers one call within so many seconds, or raises."""

Write = Callable[[Sequence[s.SubmitAnswer]], Awaitable[None]]
"""Sends what is ready at the same time together."""

_WORDS: Final = Words(call=s.SubmitCall, calls=s.SubmitCallBatch, answer=s.SubmitAnswer)


class SubmissionCalls(StreamCalls[d.SubmitRequest, d.SubmitReply]):
    """The gateway's end. `run` must be running."""

    def __init__(
        self, stub: Any, limits: Limits, broken: Callable[[MoleculeError], MoleculeError]
    ) -> None:
        super().__init__(stub.Carry, _WORDS, limits, broken)

    async def submit(self, request: d.SubmitRequest, *, timeout_s: float) -> d.SubmitReply:
        """What the node process answers, or the error that it raised."""
        return await self.ask(request, timeout_s=timeout_s)


async def serve(
    calls: AsyncIterator[s.SubmitCallBatch],
    write: Write,
    answer: Answer,
    *,
    limits: Limits,
    on_broken: guard.OnBroken = guard.stop_process,
) -> None:
    """The node process's end, until the gateway ends the stream; what is under way is given up."""
    await stream_calls.serve(
        calls,
        write,
        answer,
        words=_WORDS,
        name="Submissions",
        peer="gateway",
        limits=limits,
        on_broken=on_broken,
    )
