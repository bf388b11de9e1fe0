"""The service that gateways dial on the node's unix socket for submissions. Thin."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from molecule.config import Limits
from molecule.rpc import submissions
from molecule.rpc.submissions import Answer
from molecule.wire.v1 import submissions_pb2 as s
from molecule.wire.v1 import submissions_pb2_grpc


class SubmissionsService(submissions_pb2_grpc.SubmissionsServicer):
    """One per node process; `answer` is the door's."""

    def __init__(self, answer: Answer, limits: Limits) -> None:
        self._answer = answer
        self._limits = limits

    async def Carry(  # type: ignore[override]  # noqa: N802  # the library takes a coroutine, too
        self, request_iterator: AsyncIterator[s.SubmitCallBatch], context: Any
    ) -> None:
        """The stream of one gateway."""

        async def write(answers: Sequence[s.SubmitAnswer]) -> None:
            await context.write(s.SubmitAnswerBatch(answers=answers))

        await submissions.serve(request_iterator, write, self._answer, limits=self._limits)
