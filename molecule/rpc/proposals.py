"""Proposals from a node to a leader over one stream for each pair: `stream_calls.py`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from molecule.config import Limits
from molecule.rpc import guard, stream_calls
from molecule.rpc.stream_calls import StreamCalls, Words
from molecule.wire.v1 import peer_pb2 as p

_WORDS: Final = Words(call=p.ProposeCall, calls=p.ProposeCallBatch, answer=p.ProposeAnswer)

_Calls = StreamCalls[p.ProposeRequest, p.ProposeReply]


class ProposalStreams:
    """The asking end: a stream to each node that this one ever took for the leader.

    `stub` gives the generated stub of a node, or raises an error of the tree. `run` must be
    running. A stream that broke is opened again by the next call to its node.
    """

    def __init__(self, stub: Callable[[str], Any], limits: Limits) -> None:
        self._stub = stub
        self._limits = limits
        self._calls: dict[str, _Calls] = {}
        self._new: asyncio.Queue[_Calls] = asyncio.Queue()

    async def propose(self, node: str, request: p.ProposeRequest) -> p.ProposeReply:
        """What the node answers, or the error that it raised."""
        calls = self._calls.get(node)
        if calls is None:
            calls = self._calls[node] = _Calls(
                lambda leaving: self._stub(node).Proposals(leaving), _WORDS, self._limits
            )
            self._new.put_nowait(calls)
        return await calls.ask(request, timeout_s=None)

    async def run(self) -> None:
        """Carry calls and answers until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                calls = await self._new.get()
                group.create_task(calls.run())


async def serve(
    calls: AsyncIterator[p.ProposeCallBatch],
    write: Callable[[Sequence[p.ProposeAnswer]], Awaitable[None]],
    answer: Callable[[p.ProposeRequest, float], Awaitable[p.ProposeReply]],
    *,
    peer: str,
    limits: Limits,
    on_broken: guard.OnBroken = guard.stop_process,
) -> None:
    """The leader's end, until the node ends the stream; what is under way is given up."""
    await stream_calls.serve(
        calls,
        write,
        answer,
        words=_WORDS,
        name="Proposals",
        peer=peer,
        limits=limits,
        on_broken=on_broken,
    )
