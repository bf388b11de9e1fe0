"""The service that workers dial on the node's unix socket. Thin: streams go to `WorkerLinks`."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from molecule.node.worker_links import WorkerLinks
from molecule.wire.v1 import worker_pb2 as w
from molecule.wire.v1 import worker_pb2_grpc


class WorkerHost(worker_pb2_grpc.WorkerHostServicer):
    """One per node process."""

    def __init__(self, links: WorkerLinks) -> None:
        self._links = links

    async def Work(  # type: ignore[override]  # noqa: N802  # the library takes a coroutine, too
        self, request_iterator: AsyncIterator[w.FromWorkerBatch], context: Any
    ) -> None:
        """One worker's stream, from its hello to its end."""

        async def write(messages: Sequence[w.ToWorker]) -> None:
            await context.write(w.ToWorkerBatch(messages=messages))

        words = (message async for batch in request_iterator for message in batch.messages)
        await self._links.serve(words, write)
